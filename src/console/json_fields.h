// Fields of a daemon's answer as text for people. What an older or newer daemon lacks is "-". Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace stagger::cli {

// The field, unless it is not there or null.
const nlohmann::json* Find(const nlohmann::json& object, const char* key);
// A string as it is, anything else as JSON.
std::string Text(const nlohmann::json& object, const char* key);
std::string Number(const nlohmann::json& object, const char* key, int digits);
// Of a ratio: "61.2 %".
std::string Percent(const nlohmann::json& object, const char* key);
// Empty unless the field is a list.
nlohmann::json ListOf(const nlohmann::json& object, const char* key);

}  // namespace stagger::cli
