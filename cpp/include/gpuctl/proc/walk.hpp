// Finding processes: by kinship (cost of the job, not of the node), by cgroup, and by searching all of /proc: by
// session, by pid namespace, by the mark in their environment.
//
// Each is a look at one moment: a process that forks meanwhile may be missed, so an empty answer proves nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::proc {

// Every descendant of `root` now, parents before children, `root` itself left out. Children that any thread
// has forked are found (task/TID/children; a scan of all parents where the kernel lacks that file, or where hidepid
// hides somebody in between).
// `complete` is set to false when descriptors or memory ran out meanwhile, so that somebody may be missing.
std::vector<Stat> descendants(const HostFs& fs, pid_t root, bool* complete = nullptr);

// All pids of this /proc, ascending.
Result<std::vector<pid_t>> all_pids(const HostFs& fs);

// Processes of the caller's uid whose initial environment holds the entry `NAME=value`, and that started at or
// after `since_ticks`. Finds those who left the tree; one who wiped its environment is not found. An entry that two jobs
// may share (ALIEN_PROC_ID) selects nobody by itself: uid and start time are always asked too.
std::vector<Stat> marked(const HostFs& fs, const std::string& entry, std::uint64_t since_ticks);

// The same for the processes of `uid`: for root, on behalf of a job's owner.
std::vector<Stat> marked(const HostFs& fs, const std::string& entry, std::uint64_t since_ticks,
                         uid_t uid);

// Members of the session `sid`, its leader included.
std::vector<Stat> in_session(const HostFs& fs, pid_t sid);

// Processes of `uid` (nullopt: of everybody) whose pid namespace has this inode; those in a namespace below it have
// another. Whose /proc/PID/ns may not be read is not found.
std::vector<Stat> in_pid_namespace(const HostFs& fs, std::uint64_t inode, std::optional<uid_t> uid);

// Members of the cgroup and of all below it. `path` is that of /proc/PID/cgroup ("/user.slice/x", in the v2 hierarchy),
// or the directory itself (below /sys/fs/cgroup; also of a v1 controller). Zombies whose threads live are members.
// ErrorCode::not_found when there is no such cgroup, usage for a path with "..".
Result<std::vector<Stat>> in_cgroup(const HostFs& fs, const std::string& path);

}  // namespace gpuctl::proc
