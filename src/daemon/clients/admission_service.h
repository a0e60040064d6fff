// Whether what runs fits its devices: judges each stream once enough of its bodies have been seen,
// says so, and in strict mode caps the rate of one that came too late. Loop thread only; no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "admission/load.h"
#include "core/engine.h"

namespace stagger::daemon {

enum class AdmissionMode : std::uint8_t {
  kOff,    // nothing is judged
  kWarn,   // a stream that does not fit is let in, and a warning logged
  kStrict  // ... gets no more than the rate that fits, so that those before it keep theirs
};

class AdmissionService {
 public:
  explicit AdmissionService(AdmissionMode mode) : mode_(mode) {}

  AdmissionMode mode() const { return mode_; }

  // After a body of `client`: judges it if that is due. The cap that follows, if any.
  std::optional<core::RateCapped> OnRelease(const core::Engine& engine, ClientId client);
  // After `client` left: there may be room. Caps to lift; their streams are judged anew.
  std::vector<core::RateCapped> OnLeave(ClientId client);

  struct Verdict {
    bool fits = false;
    double cap_fps = 0;  // 0: none
    std::string reason;
  };
  // Null: not judged yet.
  const Verdict* Of(ClientId client) const;

  struct DeviceVerdict {
    admission::Fit fit;
    admission::DeviceLoad load;
    // At which rate one more stream like the last one would fit; none: at no rate.
    std::optional<double> headroom_fps;
  };
  // All streams of a device at the rates they ask for. Any thread: it may take milliseconds.
  // nullopt: none has been seen enough.
  static std::optional<DeviceVerdict> Judge(admission::DeviceLoad load);

 private:
  AdmissionMode mode_;
  std::map<ClientId, Verdict> verdicts_;
};

const char* ToString(AdmissionMode mode);
std::optional<AdmissionMode> ParseAdmissionMode(const std::string& text);

}  // namespace stagger::daemon
