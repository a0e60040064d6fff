// Which of ONNX Runtime's session options (onnxruntime_session_options_config_keys.h) a session may
// have and still be forwarded. One that is not listed keeps it in the app.
#include <algorithm>
#include <array>
#include <string_view>

#include "agent/hooks/forward_hooks.h"

namespace stagger::agent {

// About this process's threads and memory.
bool IsHarmlessConfig(const char* key) {
  static constexpr std::array<std::string_view, 9> kKeys = {
      "session.intra_op.allow_spinning",
      "session.inter_op.allow_spinning",
      "session.force_spinning_stop",
      "session.intra_op.spin_duration_us",
      "session.inter_op.spin_duration_us",
      "session.intra_op_thread_affinities",
      "session.dynamic_block_base",
      "session.use_env_allocators",
      "session.use_device_allocator_for_initializers",
  };
  return std::ranges::find(kKeys, std::string_view(key)) != kKeys.end();
}

bool IsForwardableConfig(const char* key) {
  static constexpr std::array<std::string_view, 12> kKeys = {
      "session.set_denormal_as_zero",
      "session.disable_prepacking",
      "session.disable_quant_qdq",
      "session.disable_double_qdq_remover",
      "session.enable_quant_qdq_cleanup",
      "session.disable_aot_function_inlining",
      "session.qdqisint8allowed",
      "session.x64quantprecision",
      "session.strict_shape_type_inference",
      "session.allow_released_opsets_only",
      "optimization.enable_gelu_approximation",
      "optimization.disable_specified_optimizers",
  };
  return std::ranges::find(kKeys, std::string_view(key)) != kKeys.end();
}

}  // namespace stagger::agent
