// A struct's list of fields, and what writes and reads a struct by it. For json.cc alone, since
// each struct instantiates both directions.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#define STAGGER_EXPAND(...) STAGGER_EXPAND2(STAGGER_EXPAND2(STAGGER_EXPAND2(__VA_ARGS__)))
#define STAGGER_EXPAND2(...) STAGGER_EXPAND1(STAGGER_EXPAND1(STAGGER_EXPAND1(__VA_ARGS__)))
#define STAGGER_EXPAND1(...) STAGGER_EXPAND0(STAGGER_EXPAND0(STAGGER_EXPAND0(__VA_ARGS__)))
#define STAGGER_EXPAND0(...) STAGGER_ONCE(STAGGER_ONCE(STAGGER_ONCE(__VA_ARGS__)))
#define STAGGER_ONCE(...) __VA_ARGS__
#define STAGGER_PARENTHESES ()
#define STAGGER_VISIT(name, ...) \
  visit(#name, self.name);       \
  __VA_OPT__(STAGGER_AGAIN STAGGER_PARENTHESES(__VA_ARGS__))
#define STAGGER_AGAIN() STAGGER_VISIT

// The members of a struct, which are its keys. One that is left out does not compile.
#define STAGGER_FIELDS(Type, ...)                          \
  template <class Self, class Visit>                       \
  requires std::is_same_v<std::remove_const_t<Self>, Type> \
  void EachField(Self& self, Visit visit) {                \
    [[maybe_unused]] auto& [__VA_ARGS__] = self;           \
    STAGGER_EXPAND(STAGGER_VISIT(__VA_ARGS__))             \
  }

namespace stagger::documents {

// Its fields stand among those of the struct that has it.
template <class Type>
inline constexpr bool kInlined = false;

template <class Value>
concept Listed = requires(Value& value) {
  EachField(value, [](const char*, auto&) {});
};

// Declared here, since they and the general ones call each other.
template <class Value>
nlohmann::json Written(const std::optional<Value>& value);
template <class Value>
nlohmann::json Written(const std::vector<Value>& values);
template <class Value>
nlohmann::json Written(const Value& value);
template <class Value>
void ReadInto(const nlohmann::json& json, std::optional<Value>& value);
template <class Value>
void ReadInto(const nlohmann::json& json, std::vector<Value>& values);

template <class Value>
void PutFields(const Value& value, nlohmann::json* object) {
  EachField(value, [object](const char* key, const auto& field) {
    if constexpr (kInlined<std::decay_t<decltype(field)>>) {
      PutFields(field, object);
    } else {
      (*object)[key] = Written(field);
    }
  });
}

template <class Value>
nlohmann::json Written(const Value& value) {
  if constexpr (Listed<Value>) {
    nlohmann::json object = nlohmann::json::object();
    PutFields(value, &object);
    return object;
  } else {
    return value;
  }
}

template <class Value>
nlohmann::json Written(const std::optional<Value>& value) {
  return value ? Written(*value) : nlohmann::json();
}

template <class Value>
nlohmann::json Written(const std::vector<Value>& values) {
  nlohmann::json list = nlohmann::json::array();
  for (const Value& value : values) list.push_back(Written(value));
  return list;
}

template <class Value>
void ReadInto(const nlohmann::json& json, Value& value) {
  if constexpr (Listed<Value>) {
    EachField(value, [&](const char* key, auto& field) {
      if constexpr (kInlined<std::decay_t<decltype(field)>>) {
        ReadInto(json, field);
      } else if (const auto found = json.find(key); found != json.end()) {
        ReadInto(*found, field);
      }
    });
  } else if (std::is_same_v<Value, bool>          ? json.is_boolean()
             : std::is_same_v<Value, std::string> ? json.is_string()
                                                  : json.is_number()) {
    json.get_to(value);
  }
}

template <class Value>
void ReadInto(const nlohmann::json& json, std::optional<Value>& value) {
  if (!json.is_null()) ReadInto(json, value.emplace());
}

template <class Value>
void ReadInto(const nlohmann::json& json, std::vector<Value>& values) {
  if (!json.is_array()) return;
  for (const nlohmann::json& each : json) ReadInto(each, values.emplace_back());
}

}  // namespace stagger::documents
