// A cgroup and its ancestors as far as they can be seen, nearest first, and the values of their files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/cgroup/group.hpp"
#include "gpuctl/cgroup/limits.hpp"

namespace gpuctl::cgroup::internal {

struct Level {
  std::string path;  // in its hierarchy
  Dir dir;
};

class Levels {
 public:
  // Unreadable ones are problems and are left out.
  Levels(const HostFs& fs, const Branch& branch, std::vector<Error>& problems);

  const std::vector<Level>& all() const { return all_; }  // nearest first
  bool hidden_above() const { return hidden_above_; }

  // nullopt: the file is absent, says "max", "-1" or what v1 has for no limit. Nonsense is a problem.
  std::optional<std::uint64_t> number(const Level& level, const char* file);
  std::optional<std::string> text(const Level& level, const char* file);

  void complain(const Level& level, const char* file, const std::string& found);

 private:
  std::vector<Level> all_;
  std::vector<Error>& problems_;
  bool hidden_above_ = false;
};

// The set of CPUs in the first of `files` that a level has, and the highest level with the same.
std::optional<Cpuset> cpuset_in(Levels& levels, const std::vector<const char*>& files);

// Quota in microseconds for each period -> millionths of a CPU.
std::optional<std::uint64_t> micro_cpus(std::uint64_t quota, std::uint64_t period);

}  // namespace gpuctl::cgroup::internal
