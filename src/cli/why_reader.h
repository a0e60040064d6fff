// Of one stream in the daemon's answer to "why": what is said of it, part by part. Private to
// why_text.cc and its siblings.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "console/json_fields.h"
#include "console/sentences.h"

namespace stagger::cli {

inline double Value(const nlohmann::json& object, const char* key, double otherwise = 0) {
  const nlohmann::json* value = Find(object, key);
  return value != nullptr && value->is_number() ? value->get<double>() : otherwise;
}
inline bool Has(const nlohmann::json& object, const char* key) {
  return Find(object, key) != nullptr;
}
inline nlohmann::json Part(const nlohmann::json& object, const char* key) {
  const nlohmann::json* part = Find(object, key);
  return part != nullptr ? *part : nlohmann::json::object();
}
inline std::string Ago(const nlohmann::json& object) {
  return Time(Value(object, "ago_s") * 1000) + " ago";
}

class WhyReader {
 public:
  // `answer` outlives it, and so does `one`, its part that is about the stream.
  WhyReader(const nlohmann::json& answer, const nlohmann::json& one);
  std::string Read() const;

 private:
  // why_text.cc
  std::string Head() const;
  Paragraph Rate() const;
  Paragraph Lowered() const;
  std::string Excess() const;
  std::string WhyShort() const;
  std::string Weights() const;
  // why_waits.cc
  std::string PolicyText() const;
  std::string Now() const;
  Paragraph Waiting() const;
  Paragraph Turns() const;
  std::string LastWaits() const;
  // why_standing.cc
  Paragraph Admission() const;
  std::string Last(const char* kind) const;
  Paragraph Leases() const;
  Paragraph WithoutTurn() const;
  Paragraph Bodies() const;
  Paragraph Placement() const;
  std::string WaitThere() const;
  Paragraph Gpu() const;

  std::string DeviceName() const { return Text(device_, "name"); }
  double Attached() const { return Value(stream_, "attached_s"); }
  bool IsLowered() const {
    return Has(stream_, "fps_required") &&
           Value(stream_, "fps_assigned") < Value(stream_, "fps_required");
  }

  nlohmann::json policy_, mps_;
  std::string admission_mode_;
  nlohmann::json stream_, device_, rate_, waits_;
  const nlohmann::json& one_;
};

}  // namespace stagger::cli
