// Ending what is nobody's job here: a process with its descendants, or a cgroup. Blocks until the proof or the end of
// all patience.
//
//   Result<Report> report = end_process(fs, 4711, {60 * kUsecPerSec, {}});
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "gpuctl/kill/engine.hpp"

namespace gpuctl::kill {

struct Order {
  Usec grace = 60 * kUsecPerSec;  // between TERM and KILL, at most kMaxGrace
  std::vector<Spared> spared;
};

// ErrorCode::not_found when there is no such process, usage for one that must not be ended: no number of a process,
// ourselves and our ancestors, a kernel thread, another user's. Nothing was signalled then.
Result<Report> end_process(const HostFs& fs, std::int64_t pid, const Order& order);

// ErrorCode::not_found when there is no such cgroup, usage for one that must not be ended: see CgroupTarget. Nothing
// was signalled then.
Result<Report> end_cgroup(const HostFs& fs, const std::string& path, const Order& order);

}  // namespace gpuctl::kill
