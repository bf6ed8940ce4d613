// ClassAd: what gpuctl needs of HTCondor's ads (one attribute a line, "Name = EXPRESSION"), without evaluating policy.
//
// Attribute names ignore case. Numbers may be sums and products of numbers and of other attributes of the same ad; what is
// more (functions, conditions, attributes of the other side) has no value here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpuctl::cgroup::internal {

class ClassAd {
 public:
  static ClassAd parse(std::string_view text);

  std::optional<std::string> expression(const std::string& name) const;
  std::optional<double> number(const std::string& name) const;

  // The values that `name` is compared with in the attribute `policy`: of "A || ResidentSetSize > 1024 * RequestMemory"
  // the product. nullopt inside: a comparison that cannot be evaluated.
  std::vector<std::optional<double>> thresholds(const std::string& policy,
                                                const std::string& name) const;

 private:
  // Of the arithmetic that `text` begins with, and whether that was all of it.
  std::pair<std::optional<double>, bool> evaluate(std::string_view text) const;

  std::map<std::string, std::string> values_;  // by name in lower case
};

}  // namespace gpuctl::cgroup::internal
