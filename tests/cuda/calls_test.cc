// The list of driver calls as cuGetProcAddress must answer from it.
#include <gtest/gtest.h>

#include <set>

#include "cuda/driver_calls.h"

namespace stagger::cuda {
namespace {

std::string_view SymbolFor(std::string_view base, int version, bool per_thread = false) {
  const Found found = Find(base, version, per_thread);
  return found.lookup == Lookup::kFound ? kCalls[found.index].symbol : "";
}

TEST(CudaCalls, AnswersWithTheNewestSymbolThatIsOldEnough) {
  EXPECT_EQ(SymbolFor("cuGetProcAddress", 11040), "cuGetProcAddress");
  EXPECT_EQ(SymbolFor("cuGetProcAddress", 12000), "cuGetProcAddress_v2");
  EXPECT_EQ(SymbolFor("cuCtxCreate", 11030), "cuCtxCreate_v2");
  EXPECT_EQ(SymbolFor("cuCtxCreate", 13000), "cuCtxCreate_v4");
  EXPECT_EQ(SymbolFor("cuCtxSynchronize", 12080), "cuCtxSynchronize");
  EXPECT_EQ(SymbolFor("cuCtxSynchronize", 13000), "cuCtxSynchronize_v2");
}

TEST(CudaCalls, GivesThePerThreadVariantOnlyWhereAsked) {
  EXPECT_EQ(SymbolFor("cuLaunchKernel", 12000), "cuLaunchKernel");
  EXPECT_EQ(SymbolFor("cuLaunchKernel", 12000, true), "cuLaunchKernel_ptsz");
  EXPECT_EQ(SymbolFor("cuLaunchKernel", 6000, true), "cuLaunchKernel");
  EXPECT_EQ(SymbolFor("cuMemcpyHtoD", 12000, true), "cuMemcpyHtoD_v2_ptds");
  EXPECT_EQ(SymbolFor("cuStreamGetCaptureInfo", 12000, true), "cuStreamGetCaptureInfo_v2_ptsz");
  EXPECT_EQ(SymbolFor("cuMemAlloc", 12000, true), "cuMemAlloc_v2");
}

TEST(CudaCalls, TellsTooNewFromUnknown) {
  EXPECT_EQ(Find("cuLibraryLoadData", 11080, false).lookup, Lookup::kTooNew);
  EXPECT_EQ(Find("cuMemcpyHtoD", 3010, false).lookup, Lookup::kTooNew);
  EXPECT_EQ(Find("cuNoSuchCall", 13000, false).lookup, Lookup::kUnknown);
  EXPECT_EQ(Find("cuMemAlloc_v2", 13000, false).lookup, Lookup::kUnknown);
}

TEST(CudaCalls, EverySymbolOnceAndRowsOfABaseInOrder) {
  std::set<std::string_view> symbols;
  std::set<std::string_view> bases;
  for (std::size_t i = 0; i < kCalls.size(); ++i) {
    EXPECT_TRUE(symbols.insert(kCalls[i].symbol).second) << kCalls[i].symbol;
    const bool same = i > 0 && kCalls[i - 1].base == kCalls[i].base;
    if (same) {
      EXPECT_LE(kCalls[i - 1].since, kCalls[i].since) << kCalls[i].symbol;
    } else {
      EXPECT_TRUE(bases.insert(kCalls[i].base).second) << kCalls[i].base;
    }
  }
}

}  // namespace
}  // namespace stagger::cuda
