#include "gpuctl/job/kill_reason.hpp"

#include <algorithm>
#include <cassert>

namespace gpuctl::job {

const std::vector<KillReason>& kill_reasons() {
  static const std::vector<KillReason> reasons = {
      {"OK", 0, 0, "ended by itself"},
      {"OOM", 10, 10, "the job wrapper's Java machine ran out of memory"},
      {"TTL", 20, 20, "ran longer than its time to live"},
      {"KILLED", 30, 30, "somebody asked for its end"},
      {"OOM_PREEMPTED", 40, 40, "ended to save the slot's memory for the other jobs"},
      {"IDLE_CPU", 50, 50, "used no CPU"},
      {"CORE_DUMP", 60, 60, "left a core dump"},
      {"DISK_USAGE", 70, 70, "its work directory outgrew its size"},
      {"MEMORY_USAGE", 80, 80, "used more memory than it asked for"},
      {"OOM_SYSTEM", 90, 90, "the kernel ended it for lack of memory"},
      {"SANDBOX_CREATE", 201, 201, "its work directory could not be made"},
      {"INPUT_FILES", 202, 202, "its input files could not be had"},
      {"PACKAGES", 203, 203, "its packages could not be had"},
      {"JOBBROKER", 301, 301, "the broker's answer could not be used"},
      {"GPU_UNAVAILABLE", 901, 301, "no GPU that it asks for is free on this node"},
      {"GPU_SANITY", 902, 301, "its GPU does not compute"},
      {"GPU_LOST", 903, 30, "its GPU was lost while it ran"},
      {"FENCE", 904, 301, "the isolation that the site demands cannot be had"},
      {"CONTAINER", 905, 301, "its container could not be started"},
  };
  return reasons;
}

const KillReason* find_kill_reason(std::string_view name) {
  const auto& reasons = kill_reasons();
  const auto row = std::find_if(reasons.begin(), reasons.end(),
                                [&](const KillReason& each) { return name == each.name; });
  return row == reasons.end() ? nullptr : &*row;
}

const KillReason& kill_reason(std::string_view name) {
  const KillReason* row = find_kill_reason(name);
  assert(row != nullptr);
  return *row;
}

}  // namespace gpuctl::job
