#include "gpuctl/base/variables.hpp"

#include <algorithm>

namespace gpuctl {
namespace {

bool is_variable(std::string_view entry, std::string_view name) {
  return entry.size() > name.size() && entry[name.size()] == '=' &&
         entry.substr(0, name.size()) == name;
}

}  // namespace

std::optional<std::string> find_variable(const std::vector<std::string>& entries,
                                         std::string_view name) {
  for (const std::string& entry : entries) {
    if (is_variable(entry, name)) return entry.substr(name.size() + 1);
  }
  return std::nullopt;
}

void set_variable(std::vector<std::string>& entries, const std::string& name,
                  const std::string& value) {
  const auto is_named = [&](const std::string& entry) { return is_variable(entry, name); };
  entries.erase(std::remove_if(entries.begin(), entries.end(), is_named), entries.end());
  if (!value.empty()) entries.push_back(name + "=" + value);
}

}  // namespace gpuctl
