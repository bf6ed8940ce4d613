// Limits of the v1 controllers (Documentation/admin-guide/cgroup-v1/memory.rst, the CFS bandwidth and pids documents).
#include <algorithm>

#include "gpuctl/base/parse.hpp"
#include "levels.hpp"
#include "sources.hpp"

namespace gpuctl::cgroup::internal {
namespace {

// A v1 hierarchy of its own for this controller; nullptr where v2 has it.
const Branch* v1_branch(const Group& group, const char* controller) {
  const Branch* branch = group.branch(controller);
  return branch == nullptr || branch->is_v2() ? nullptr : branch;
}

std::optional<std::uint64_t> stat_number(const std::optional<std::string>& stat,
                                         const std::string& key) {
  if (!stat) return std::nullopt;
  for (const std::string_view line : split(*stat, '\n')) {
    if (line.substr(0, key.size() + 1) != key + " ") continue;
    const Result<std::uint64_t> value = parse_unsigned(line.substr(key.size() + 1), key);
    if (value && *value < std::uint64_t{1} << 62) return *value;
  }
  return std::nullopt;
}

// memory.stat says what holds in the end, ancestors that cannot be seen and those that do not count (use_hierarchy 0)
// taken into account. Where it does not, each level's own limit stands.
void add_memory(Levels& levels, const char* file, const char* in_stat, Resource resource,
                Limits& limits) {
  const std::optional<std::string> stat = levels.text(levels.all().front(), "memory.stat");
  const bool told = stat && stat->find(in_stat) != std::string::npos;
  const std::optional<std::uint64_t> in_force = stat_number(stat, in_stat);
  bool found = false;
  for (const Level& level : levels.all()) {
    const std::optional<std::uint64_t> value = levels.number(level, file);
    if (!value || (told && (!in_force || *value < *in_force))) continue;
    found = found || (in_force && *value == *in_force);
    limits.all.push_back({resource, *value, LimitSource::cgroup, level.path, true});
  }
  if (found || !in_force) return;
  limits.ancestors_hidden = true;
  limits.all.push_back(
      {resource, *in_force, LimitSource::cgroup, "above " + levels.all().back().path, true});
}

void add_memory_limits(const HostFs& fs, const Group& group, Limits& limits) {
  const Branch* branch = v1_branch(group, "memory");
  if (branch == nullptr || !branch->dir) return;
  Levels levels(fs, *branch, limits.problems);
  if (levels.all().empty()) return;
  add_memory(levels, "memory.limit_in_bytes", "hierarchical_memory_limit", Resource::memory,
             limits);
  add_memory(levels, "memory.memsw.limit_in_bytes", "hierarchical_memsw_limit",
             Resource::memory_and_swap, limits);
}

void add_cpu_limits(const HostFs& fs, const Group& group, Limits& limits) {
  const Branch* branch = v1_branch(group, "cpu");
  if (branch == nullptr) return;
  Levels levels(fs, *branch, limits.problems);
  for (const Level& level : levels.all()) {
    const auto quota = levels.number(level, "cpu.cfs_quota_us");
    const auto period = levels.number(level, "cpu.cfs_period_us");
    const auto value = quota && period ? micro_cpus(*quota, *period) : std::nullopt;
    if (value)
      limits.all.push_back({Resource::cpus, *value, LimitSource::cgroup, level.path, true});
  }
  limits.ancestors_hidden = limits.ancestors_hidden || levels.hidden_above();
}

void add_pids_limits(const HostFs& fs, const Group& group, Limits& limits) {
  const Branch* branch = v1_branch(group, "pids");
  if (branch == nullptr) return;
  Levels levels(fs, *branch, limits.problems);
  for (const Level& level : levels.all()) {
    if (const auto value = levels.number(level, "pids.max"))
      limits.all.push_back({Resource::pids, *value, LimitSource::cgroup, level.path, true});
  }
  limits.ancestors_hidden = limits.ancestors_hidden || levels.hidden_above();
}

}  // namespace

void add_v1_limits(const HostFs& fs, const Group& group, Limits& limits) {
  add_memory_limits(fs, group, limits);
  add_cpu_limits(fs, group, limits);
  add_pids_limits(fs, group, limits);
  const Branch* branch = v1_branch(group, "cpuset");
  if (branch == nullptr) return;
  Levels levels(fs, *branch, limits.problems);
  limits.cpuset = cpuset_in(levels, {"cpuset.effective_cpus", "cpuset.cpus"});
}

}  // namespace gpuctl::cgroup::internal
