#include "lab/vgpu/model.h"

#include "base/check.h"
#include "lab/sim/calibration.h"

namespace stagger::vgpu {

std::optional<Model> BuiltInModel(std::string_view name) {
  if (name != "t4") return std::nullopt;
  Model model;
  model.name = "Virtual T4";
  // The fit takes a few hundredths of a second; the table stays the one source of these numbers.
  const Result<sim::Calibration> fit = sim::Calibrate(sim::kPaperTable2);
  CHECK(fit.has_value());
  model.contention = {
      .name = "t4", .sigma = fit->model.sigma, .w = fit->model.w, .g = fit->model.g};
  model.memory_bytes = 16ull << 30;
  // Table 2 knows two phases of an inference, 38.31 and 35.42 ms long. A program that has no costs
  // of its own may call its kernels so.
  model.kernels["body"] = {FromMs(fit->model.body_ms), 1, false};
  model.kernels["post"] = {FromMs(fit->model.post_ms), 1, true};
  return model;
}

}  // namespace stagger::vgpu
