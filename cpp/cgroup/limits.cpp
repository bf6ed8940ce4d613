#include "gpuctl/cgroup/limits.hpp"

#include <algorithm>

#include "gpuctl/base/parse.hpp"
#include "levels.hpp"
#include "sources.hpp"

namespace gpuctl::cgroup {
namespace {

using internal::Level;
using internal::Levels;

struct LimitFile {
  const char* name;
  Resource resource;
};

constexpr LimitFile kV2Files[] = {{"memory.max", Resource::memory},
                                  {"memory.high", Resource::memory_high},
                                  {"memory.swap.max", Resource::swap},
                                  {"pids.max", Resource::pids}};

// "QUOTA PERIOD" or "max PERIOD".
void add_cpu_max(Levels& levels, const Level& level, Limits& limits) {
  const std::optional<std::string> text = levels.text(level, "cpu.max");
  if (!text || text->substr(0, 4) == "max ") return;
  const std::vector<std::string_view> words = split(*text, ' ');
  const Result<std::uint64_t> quota = parse_unsigned(words[0], "quota");
  const Result<std::uint64_t> period =
      parse_unsigned(words.size() == 2 ? words[1] : std::string_view(), "period");
  if (!quota || !period || *period == 0) return levels.complain(level, "cpu.max", *text);
  if (const auto value = internal::micro_cpus(*quota, *period))
    limits.all.push_back({Resource::cpus, *value, LimitSource::cgroup, level.path, true});
}

const Limit* least_of(const std::vector<Limit>& all, Resource resource,
                      std::optional<LimitSource> source) {
  const Limit* least = nullptr;
  for (const Limit& each : all) {
    if (each.resource != resource) continue;
    if (source ? each.source != *source : !each.enforced) continue;
    if (least == nullptr || each.value < least->value) least = &each;
  }
  return least;
}

std::optional<Limit> copy(const Limit* limit) {
  return limit == nullptr ? std::nullopt : std::optional<Limit>(*limit);
}

std::uint64_t kib_of(const std::optional<Limit>& limit) { return limit ? limit->value / 1024 : 0; }

}  // namespace

namespace internal {

void add_cgroup_limits(const HostFs& fs, const Group& group, Limits& limits) {
  add_v1_limits(fs, group, limits);
  if (!group.main().is_v2()) return;
  Levels levels(fs, group.main(), limits.problems);
  for (const Level& level : levels.all()) {
    for (const LimitFile& file : kV2Files) {
      if (const auto value = levels.number(level, file.name))
        limits.all.push_back({file.resource, *value, LimitSource::cgroup, level.path, true});
    }
    add_cpu_max(levels, level, limits);
  }
  if (!limits.cpuset) limits.cpuset = cpuset_in(levels, {"cpuset.cpus.effective"});
  limits.ancestors_hidden = limits.ancestors_hidden || levels.hidden_above();
}

}  // namespace internal

std::optional<Limit> Limits::least(Resource resource) const {
  return copy(least_of(all, resource, std::nullopt));
}

std::optional<Limit> Limits::least(Resource resource, LimitSource source) const {
  return copy(least_of(all, resource, source));
}

Limits read_limits(const HostFs& fs, const Group& group, const SlotEnv& env) {
  Limits limits;
  internal::add_cgroup_limits(fs, group, limits);
  if (group.pid()) internal::add_ulimits(fs, *group.pid(), limits);
  internal::add_condor_limits(fs, env, limits);
  internal::add_slurm_limits(env, limits);
  internal::add_machine_limits(fs, limits);
  return limits;
}

std::optional<std::string> trace_line(const Group& group, const Limits& limits) {
  const Branch* branch = group.branch("memory");
  if (branch == nullptr) return std::nullopt;
  const auto memory = limits.least(Resource::memory, LimitSource::cgroup);
  const auto swap = limits.least(branch->is_v2() ? Resource::swap : Resource::memory_and_swap,
                                 LimitSource::cgroup);
  if (!memory && !swap) return std::nullopt;
  return "Slot memory hard limit set to " + std::to_string(kib_of(memory)) +
         " kB memsw hard limit set to " + std::to_string(kib_of(swap)) +
         " kB by cgroup configuration. Parsed " + (branch->is_v2() ? "cgroupV2" : "cgroup") + ": " +
         printable(branch->path);
}

std::optional<std::size_t> count_cpus(std::string_view list) {
  constexpr std::uint64_t kMost = 1U << 20;
  std::size_t count = 0;
  for (const std::string_view range : split(list, ',')) {
    const std::size_t dash = range.find('-');
    const Result<std::uint64_t> first = parse_unsigned(range.substr(0, dash), "CPU", 10, kMost);
    const Result<std::uint64_t> last =
        dash == std::string_view::npos ? first
                                       : parse_unsigned(range.substr(dash + 1), "CPU", 10, kMost);
    if (!first || !last || *last < *first) return std::nullopt;
    count += static_cast<std::size_t>(*last - *first + 1);
  }
  return count;
}

const char* name_of(Resource resource) {
  switch (resource) {
    case Resource::memory: return "memory_bytes";
    case Resource::memory_high: return "memory_high_bytes";
    case Resource::swap: return "swap_bytes";
    case Resource::memory_and_swap: return "memory_and_swap_bytes";
    case Resource::cpus: return "cpus";
    case Resource::pids: return "pids";
    case Resource::gpus: return "gpus";
    case Resource::address_space: return "address_space_bytes";
    case Resource::data: return "data_bytes";
    case Resource::file_size: return "file_size_bytes";
    case Resource::open_files: return "open_files";
    case Resource::processes: return "processes";
    case Resource::cpu_time: break;
  }
  return "cpu_time_usec";
}

const char* name_of(LimitSource source) {
  switch (source) {
    case LimitSource::cgroup: return "cgroup";
    case LimitSource::ulimit: return "ulimit";
    case LimitSource::condor_machine_ad: return "condor_machine_ad";
    case LimitSource::condor_job_ad: return "condor_job_ad";
    case LimitSource::slurm: return "slurm";
    case LimitSource::machine: break;
  }
  return "machine";
}

}  // namespace gpuctl::cgroup
