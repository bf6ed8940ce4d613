// Slot memory: several jobs in one slot whose memory runs out. Which of them has to go, before the kernel takes one, or
// the batch system the whole slot? This room decides and gives its evidence; ending the job is the supervisor's.
//
// As JAliEn's MemoryController does it: nothing while the slot keeps its margins (50 MB per core to the slot's limit, 1 GB
// of the machine's swap, 1 GB of its memory); never the last job; never one that uses less than 2 GB per core.
//
//   std::optional<Preemption> victim = choose_victim(slot, jobs, PreemptionPolicy::relative_use, Margins());
//   if (victim) end jobs[victim->job] with OOM_PREEMPTED and victim->evidence
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpuctl::cgroup {

inline constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;

struct Margins {
  std::uint64_t slot_bytes_per_core = 50 * kMegabyte;
  std::uint64_t swap_bytes = 1024 * kMegabyte;
  std::uint64_t machine_bytes = 1024 * kMegabyte;
  std::uint64_t spared_bytes_per_core = 2048 * kMegabyte;  // who uses less is never chosen
};

// Who goes first: `growth`: who grew most since the last look; `relative_use`: who uses most of what it asked for;
// `absolute_use`: who uses most.
enum class PreemptionPolicy { growth, relative_use, absolute_use };

const char* name_of(PreemptionPolicy policy);
std::optional<PreemptionPolicy> find_policy(std::string_view name);

// nullopt: unknown, or without a limit; such a margin is not looked at.
struct SlotMemory {
  unsigned cores = 1;
  std::optional<std::uint64_t> used_bytes;  // that cannot be given back: no page cache
  std::optional<std::uint64_t> limit_bytes;
  std::optional<std::uint64_t> swap_total_bytes;  // 0: a machine without swap has no margin to keep
  std::optional<std::uint64_t> swap_free_bytes;
  std::optional<std::uint64_t> machine_available_bytes;
};

struct JobMemory {
  std::string name;  // ID.RESUBMISSION
  unsigned cores = 1;
  std::uint64_t used_bytes = 0;
  std::optional<std::uint64_t> used_before_bytes;  // at the last look
  std::optional<std::uint64_t> requested_bytes;    // nullopt: 2 GB per core
};

struct Preemption {
  std::size_t job = 0;   // index in `jobs`
  std::string evidence;  // which margin was broken, by how much, and why this job
};

// Which margin is broken, in words; empty while all are kept.
std::string broken_margin(const SlotMemory& slot, const Margins& margins);

// Nobody while the margins are kept, for a single job, or when all are spared. Ties go by name, so that everybody who
// asks with the same numbers gets the same answer.
std::optional<Preemption> choose_victim(const SlotMemory& slot, const std::vector<JobMemory>& jobs,
                                        PreemptionPolicy policy, const Margins& margins);

}  // namespace gpuctl::cgroup
