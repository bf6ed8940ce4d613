// Json: the project's JSON value (nlohmann, keys in the order of writing) and its one way to become text.
//
// Include it only in .cpp files and in the `json.hpp` of a room: it is a large header. Files that only pass a
// value on include gpuctl/base/json_fwd.hpp.
#pragma once

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "gpuctl/base/json_fwd.hpp"

namespace gpuctl {

// nlohmann's ordered_map, a vector of pairs. Their keys are const, so that a vector which grows copies them, with all that
// is below: here the values are moved.
template <class Key, class T, class Less, class Allocator>
struct JsonMembers : nlohmann::ordered_map<Key, T, Less, Allocator> {
  using Base = nlohmann::ordered_map<Key, T, Less, Allocator>;
  using Base::Base;

  JsonMembers() = default;

  // What is given may lie in what is moved: it is taken first.
  template <class K, class... Args>
  std::pair<typename Base::iterator, bool> emplace(K&& key, Args&&... args) {
    const auto known = this->find(key);
    if (known != this->end()) return {known, false};
    Key taken_key(std::forward<K>(key));
    T value(std::forward<Args>(args)...);
    append(std::move(taken_key), std::move(value));
    return {std::prev(this->end()), true};
  }

  // Of a key that is not there yet, which is not looked for.
  template <class... Args>
  void append(Args&&... args) {
    make_room();
    this->emplace_back(std::forward<Args>(args)...);
  }

 private:
  static constexpr std::size_t kUsual = 8;

  void make_room() {
    if (this->size() < this->capacity()) return;
    Base grown;
    grown.reserve(std::max(kUsual, 2 * this->capacity()));
    for (auto& each : *this) grown.emplace_back(each.first, std::move(each.second));
    this->swap(grown);
  }
};

// Text for people and files (indented) or for one line of a stream. Bytes that are no UTF-8 become U+FFFD.
std::string to_text(const Json& value);
std::string to_line(const Json& value);

// nullopt -> null.
template <typename T>
Json json_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace gpuctl
