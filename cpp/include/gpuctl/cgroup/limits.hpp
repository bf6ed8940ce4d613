// Limits: what a process in this cgroup may use, by everybody who has a say: each ancestor cgroup, ulimits, HTCondor's
// ads, Slurm's environment, the machine. Every limit keeps who imposes it.
//
//   const Limits limits = read_limits(fs, group, env);
//   limits.least(Resource::memory)                         // the least that the kernel enforces: value and `by`
//   limits.least(Resource::memory, LimitSource::cgroup)    // what to impose again when leaving the slot
//
// "No limit" (`max`, -1 in v1, PAGE_COUNTER_MAX) is absent, never a large number. What cannot be read is a problem, and
// the answer may then be too large. Sources: cgroup-v2 and cgroup-v1 of the kernel's documentation, proc_pid_limits(5),
// proc_meminfo(5), sbatch(1), the HTCondor manual's job and machine ClassAd attributes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/cgroup/group.hpp"
#include "gpuctl/cgroup/slot_env.hpp"

namespace gpuctl::cgroup {

enum class Resource {
  memory,           // bytes
  memory_high,      // bytes: above it the kernel slows down, it kills nobody
  swap,             // bytes
  memory_and_swap,  // bytes, v1 (memsw)
  cpus,             // millionths of a CPU
  pids,             // processes and threads
  gpus,
  address_space,  // bytes, each process
  data,           // bytes, each process
  file_size,      // bytes
  open_files,     // each process
  processes,      // of the user
  cpu_time,       // microseconds, each process
};
// The JSON key: "memory_bytes", "cpus", "pids", ...
const char* name_of(Resource resource);

inline constexpr std::uint64_t kMicroCpus = 1'000'000;  // one CPU as a value of Resource::cpus

enum class LimitSource { cgroup, ulimit, condor_machine_ad, condor_job_ad, slurm, machine };
const char* name_of(LimitSource source);

struct Limit {
  Resource resource = Resource::memory;
  std::uint64_t value = 0;
  LimitSource source = LimitSource::cgroup;
  std::string by;  // path of the cgroup, name of the ulimit, attribute or variable
  bool enforced =
      false;  // by the kernel; the others are promises that a batch system may end a job for
};

struct Cpuset {
  std::string cpus;  // "0-3,8"
  std::size_t count = 0;
  std::string by;  // the highest cgroup with this very set
};

struct Limits {
  std::vector<Limit> all;  // nearest cgroup first, then the other sources
  std::optional<Cpuset> cpuset;
  bool ancestors_hidden =
      false;  // a cgroup namespace or mount hides some: there may be lower limits
  std::vector<Error> problems;

  // The least of those that the kernel enforces.
  std::optional<Limit> least(Resource resource) const;
  // The least of one source.
  std::optional<Limit> least(Resource resource, LimitSource source) const;
};

// `env`: that of the process, for the batch systems' words; ads named in it are read below `fs`.
Limits read_limits(const HostFs& fs, const Group& group, const SlotEnv& env);

// JAliEn's line in the job's trace, in kB, 0 for none: "Slot memory hard limit set to 307200 kB memsw hard limit set to
// 0 kB by cgroup configuration. Parsed cgroupV2: /…". With v2 `memsw` is swap alone, as JAliEn has it. nullopt: no limit.
std::optional<std::string> trace_line(const Group& group, const Limits& limits);

// "0-3,8" -> 5. nullopt for what is no list of CPUs.
std::optional<std::size_t> count_cpus(std::string_view list);

}  // namespace gpuctl::cgroup
