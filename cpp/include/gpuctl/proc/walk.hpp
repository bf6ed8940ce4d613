// Finding processes: by kinship (cost of the job, not of the node), and by the mark in their environment.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::proc {

// Every descendant of `root` now, parents before children, `root` itself left out. Children that any thread
// has forked are found (task/TID/children; a scan of all parents where the kernel lacks that file).
// It is a snapshot: a process that forks meanwhile may be missed, so an empty answer proves nothing.
std::vector<Stat> descendants(const HostFs& fs, pid_t root);

// All pids of this /proc, unsorted.
Result<std::vector<pid_t>> all_pids(const HostFs& fs);

// Processes of the caller's uid whose initial environment holds the entry `NAME=value`, and that started at or
// after `since_ticks`. Finds those who left the tree; one who wiped its environment is not found.
std::vector<Stat> marked(const HostFs& fs, const std::string& entry, std::uint64_t since_ticks);

}  // namespace gpuctl::proc
