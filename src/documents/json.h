// Documents as JSON and back. One list of fields per struct (json.cc) serves both directions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace stagger::documents {

// One line; bytes that are not UTF-8 are replaced.
template <class Document>
std::string ToText(const Document& document);

// Never fails, since the daemon may be of another version: what is missing, or of another type than
// it is here, keeps its default, and what is not known is passed over.
template <class Document>
Document Read(const nlohmann::json& json);

}  // namespace stagger::documents
