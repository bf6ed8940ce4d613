// Json: the project's JSON value (nlohmann, keys in the order of writing) and its one way to become text.
//
// Include it only in .cpp files and in the `json.hpp` of a room: it is a large header. Files that only pass a
// value on include <nlohmann/json_fwd.hpp>.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace gpuctl {

using Json = nlohmann::ordered_json;

// Text for people and files (indented) or for one line of a stream. Bytes that are no UTF-8 become U+FFFD.
std::string to_text(const Json& value);
std::string to_line(const Json& value);

// nullopt -> null.
template <typename T>
Json json_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace gpuctl
