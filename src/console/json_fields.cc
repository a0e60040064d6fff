#include "console/json_fields.h"

#include <fmt/core.h>

namespace stagger::cli {

using nlohmann::json;

const json* Find(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string Text(const json& object, const char* key) {
  const json* value = Find(object, key);
  if (value == nullptr) return "-";
  return value->is_string() ? value->get<std::string>() : value->dump();
}

std::string Number(const json& object, const char* key, int digits) {
  const json* value = Find(object, key);
  if (value == nullptr || !value->is_number()) return "-";
  return fmt::format("{:.{}f}", value->get<double>(), digits);
}

std::string Percent(const json& object, const char* key) {
  const json* value = Find(object, key);
  if (value == nullptr || !value->is_number()) return "-";
  return fmt::format("{:.1f} %", value->get<double>() * 100);
}

json ListOf(const json& status, const char* key) {
  const json* list = Find(status, key);
  return list != nullptr && list->is_array() ? *list : json::array();
}

}  // namespace stagger::cli
