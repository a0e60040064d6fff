// What a driver call says by its arguments, gathered by their types: which stream, which kernel,
// how many bytes. One template for all calls, so that the list of calls is the only list.
//
// Runs at every hooked call: a few instructions, no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "cuda/driver_types.h"

namespace stagger::cuda_agent {

struct Facts {
  CUstream stream = nullptr;
  bool has_stream = false;
  std::uint64_t hash = 0;   // of a launch: kernel, grid and block; else of the handle it is about
  std::uint64_t bytes = 0;  // of a copy
  // Of a copy whose direction only its arguments tell.
  CUdeviceptr to = 0;
  CUdeviceptr from = 0;
  CUmemorytype to_type = 0;
  CUmemorytype from_type = 0;

  unsigned mixed = 0;  // numbers in the hash so far

  // A multilinear hash (Lemire and Kaser 2014): no multiplication waits for another.
  void Mix(std::uint64_t value) { hash += (value + 1) * kFactors[mixed++ % kFactors.size()]; }
  void Finish() { hash = (hash ^ hash >> 32) * kFactors[0]; }

  // Odd numbers without a pattern, one for each number that a call mixes in.
  static constexpr std::array<std::uint64_t, 12> kFactors = {
      0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93,
      0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9, 0x85ebca77c2b2ae63, 0x27d4eb2f165667c5,
      0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53, 0xa0761d6478bd642f, 0xe7037ed1a0b428db};
};

namespace facts {

template <typename T>
std::uint64_t Number(T* handle) {
  return reinterpret_cast<std::uint64_t>(handle);
}

inline void Take(Facts& facts, CUstream stream) {
  facts.stream = stream;
  facts.has_stream = true;
}
inline void Take(Facts& facts, CUfunction function) { facts.Mix(Number(function)); }
inline void Take(Facts& facts, CUgraphExec graph) { facts.Mix(Number(graph)); }
inline void Take(Facts& facts, CUevent event) { facts.Mix(Number(event)); }
inline void Take(Facts& facts, unsigned int number) { facts.Mix(number); }
inline void Take(Facts& facts, int number) { facts.Mix(static_cast<std::uint64_t>(number)); }
inline void Take(Facts& facts, std::size_t bytes) { facts.bytes = bytes; }
inline void Take(Facts& facts, CUdeviceptr address) {
  (facts.to == 0 ? facts.to : facts.from) = address;
}
inline void Take(Facts& facts, const CUlaunchConfig* config) {
  if (config == nullptr) return;
  Take(facts, config->hStream);
  for (const unsigned int size : {config->gridDimX, config->gridDimY, config->gridDimZ,
                                  config->blockDimX, config->blockDimY, config->blockDimZ}) {
    facts.Mix(size);
  }
}
template <typename Copy>
void TakeCopy(Facts& facts, const Copy* copy, std::size_t rows) {
  facts.to = copy->dstDevice;
  facts.from = copy->srcDevice;
  facts.to_type = copy->dstMemoryType;
  facts.from_type = copy->srcMemoryType;
  facts.bytes = copy->WidthInBytes * rows;
}
inline void Take(Facts& facts, const CUDA_MEMCPY2D* copy) {
  if (copy != nullptr) TakeCopy(facts, copy, copy->Height);
}
inline void Take(Facts& facts, const CUDA_MEMCPY3D* copy) {
  if (copy != nullptr) TakeCopy(facts, copy, copy->Height * copy->Depth);
}
// Whatever else calls take tells nothing that matters here.
template <typename T>
void Take(Facts&, T*) {}

}  // namespace facts

template <typename... Arguments>
Facts FactsOf(Arguments... arguments) {
  Facts facts;
  (facts::Take(facts, arguments), ...);
  facts.Finish();
  return facts;
}

}  // namespace stagger::cuda_agent
