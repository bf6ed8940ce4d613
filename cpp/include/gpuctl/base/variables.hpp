// Entries of an environment, "NAME=VALUE" each.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpuctl {

// The first one's value.
std::optional<std::string> find_variable(const std::vector<std::string>& entries,
                                         std::string_view name);

// All of that name make way for one; an empty value takes them away.
void set_variable(std::vector<std::string>& entries, const std::string& name,
                  const std::string& value);

}  // namespace gpuctl
