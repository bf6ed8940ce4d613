// What is imposed besides cgroups: ulimits, Slurm's environment, the machine.
#include <array>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "sources.hpp"

namespace gpuctl::cgroup::internal {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;

struct UlimitRow {
  const char* name;  // as in /proc/PID/limits
  Resource resource;
  std::uint64_t unit;
  bool enforced;
};

// The kernel has not enforced RLIMIT_RSS since 2.4; some sites write the slot's memory there all the same.
constexpr std::array kUlimits = {
    UlimitRow{"Max resident set", Resource::memory, 1, false},
    UlimitRow{"Max address space", Resource::address_space, 1, true},
    UlimitRow{"Max data size", Resource::data, 1, true},
    UlimitRow{"Max file size", Resource::file_size, 1, true},
    UlimitRow{"Max open files", Resource::open_files, 1, true},
    UlimitRow{"Max processes", Resource::processes, 1, true},
    UlimitRow{"Max cpu time", Resource::cpu_time, 1'000'000, true},
};

// The soft limit, which is the one in force: the first word behind the name.
std::optional<std::uint64_t> soft_limit(std::string_view line, const UlimitRow& row) {
  const std::string_view rest = trim(line.substr(std::string_view(row.name).size()));
  const Result<std::uint64_t> value = parse_unsigned(rest.substr(0, rest.find(' ')), row.name);
  if (!value || *value > std::numeric_limits<std::uint64_t>::max() / row.unit) return std::nullopt;
  return *value * row.unit;
}

void add(Limits& limits, Resource resource, std::uint64_t value, LimitSource source,
         const std::string& by) {
  limits.all.push_back({resource, value, source, by, source == LimitSource::machine});
}

// "MemTotal:       24000000 kB"
std::optional<std::uint64_t> meminfo_bytes(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.substr(0, key.size()) != key) continue;
    const std::string_view rest = trim(line.substr(key.size()));
    const Result<std::uint64_t> kib =
        parse_unsigned(rest.substr(0, rest.find(' ')), "kB", 10, std::uint64_t{1} << 50);
    if (kib) return *kib * 1024;
  }
  return std::nullopt;
}

// Megabytes for each of so many; 0 means all of the node's.
void add_product(Limits& limits, const SlotEnv& env, const char* each, const char* count) {
  const std::optional<std::uint64_t> mib = env.number(each);
  const std::optional<std::uint64_t> number = env.number(count);
  constexpr std::uint64_t kMost = 1U << 30;
  if (!mib || !number || *mib == 0 || *mib > kMost || *number == 0 || *number > 4096) return;
  add(limits, Resource::memory, *mib * *number * kMib, LimitSource::slurm,
      std::string(each) + " x " + count);
}

}  // namespace

void add_ulimits(const HostFs& fs, pid_t pid, Limits& limits) {
  const Result<std::string> text =
      fs.read_file(std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/limits");
  if (!text && text.error().code == ErrorCode::permission) limits.problems.push_back(text.error());
  if (!text) return;
  for (const std::string_view line : split(*text, '\n')) {
    for (const UlimitRow& row : kUlimits) {
      if (line.substr(0, std::string_view(row.name).size()) != row.name) continue;
      if (const auto value = soft_limit(line, row))
        limits.all.push_back({row.resource, *value, LimitSource::ulimit, row.name, row.enforced});
    }
  }
}

void add_slurm_limits(const SlotEnv& env, Limits& limits) {
  constexpr const char* kPerNode = "SLURM_MEM_PER_NODE";
  constexpr const char* kCpus = "SLURM_CPUS_ON_NODE";
  constexpr const char* kGpus = "SLURM_GPUS_ON_NODE";
  const std::optional<std::uint64_t> memory = env.number(kPerNode);
  if (memory && *memory != 0 && *memory <= std::uint64_t{1} << 40)
    add(limits, Resource::memory, *memory * kMib, LimitSource::slurm, kPerNode);
  add_product(limits, env, "SLURM_MEM_PER_CPU", kCpus);
  add_product(limits, env, "SLURM_MEM_PER_GPU", kGpus);
  const std::optional<std::uint64_t> cpus = env.number(kCpus);
  if (cpus && *cpus <= 1U << 20)
    add(limits, Resource::cpus, *cpus * kMicroCpus, LimitSource::slurm, kCpus);
  if (const std::optional<std::uint64_t> gpus = env.number(kGpus))
    add(limits, Resource::gpus, *gpus, LimitSource::slurm, kGpus);
}

void add_machine_limits(const HostFs& fs, Limits& limits) {
  const Result<std::string> meminfo = fs.read_file(host_paths::kMeminfo);
  if (meminfo) {
    if (const auto memory = meminfo_bytes(*meminfo, "MemTotal:"))
      add(limits, Resource::memory, *memory, LimitSource::machine, "MemTotal");
    if (const auto swap = meminfo_bytes(*meminfo, "SwapTotal:"))
      add(limits, Resource::swap, *swap, LimitSource::machine, "SwapTotal");
  }
  const Result<std::string> online = fs.read_file(host_paths::kOnlineCpus);
  const std::optional<std::size_t> cpus = online ? count_cpus(*online) : std::nullopt;
  if (cpus) add(limits, Resource::cpus, *cpus * kMicroCpus, LimitSource::machine, "online CPUs");
  const Result<std::string> most = fs.read_file(host_paths::kPidMax);
  const Result<std::uint64_t> pids = most ? parse_unsigned(*most, "pid_max") : fail(most.error());
  if (pids) add(limits, Resource::pids, *pids, LimitSource::machine, "pid_max");
}

}  // namespace gpuctl::cgroup::internal
