// Json, for files that only pass a value on: what it is made of is in gpuctl/base/json.hpp, a large header.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <utility>

namespace gpuctl {

template <class Key, class T, class Less = std::less<Key>,
          class Allocator = std::allocator<std::pair<const Key, T>>>
struct JsonMembers;

// nlohmann's, keys in the order of writing.
using Json = nlohmann::basic_json<JsonMembers>;

}  // namespace gpuctl
