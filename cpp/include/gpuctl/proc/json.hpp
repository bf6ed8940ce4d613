// The JSON of this room's records: one place for the keys.
#pragma once

#include <string>

#include "gpuctl/base/json.hpp"
#include "gpuctl/proc/tree.hpp"

namespace gpuctl::proc {

// gpuctl.tree/1 (docs/schema/tree.json); `by` and `value` say what was asked for: "pid", "cgroup" or "job".
Json to_json(const Tree& tree, const std::string& by, const std::string& value);

}  // namespace gpuctl::proc
