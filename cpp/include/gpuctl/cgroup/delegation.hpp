// Delegation: a cgroup of the job's own, made where the slot lets us (cgroups(7); systemd's CGROUP_DELEGATION.md).
//
//   SLOT/                  the first cgroup, from our own upwards, in which we may make groups and place processes
//     pilot/               whoever lived in SLOT itself, we among them: a group that gives controllers to its children
//                          holds no processes of its own
//     job-ID.NONCE/        the payload and nobody else; memory, cpu and pids limits; one OOM kill ends all of it
//
// Nothing is changed before make_group(), so that its name can be recorded first; the name bears the job's nonce, so
// that whoever finds it after a crash can prove whose it is. Only groups of the v2 hierarchy; nothing is ever mounted.
//
//   Result<Place> place = find_place(fs);
//   Result<JobGroup> group = make_group(*place, group_name(id, nonce), limits);
//   clone3(CLONE_INTO_CGROUP) with group->dir; …; remove_group(*place, group->name, group->inode);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::cgroup {

inline constexpr const char* kPilotGroup = "pilot";

// Where groups for jobs can be made.
struct Place {
  Fd dir;
  std::string path;         // in the v2 hierarchy, as /proc/PID/cgroup has it
  std::string directory;    // of the same: "/sys/fs/cgroup/user.slice"
  std::string mount_point;  // where the hierarchy begins for us
  bool is_top = false;      // the root of the hierarchy may hold processes beside its children
};

// ErrorCode::unsupported without a v2 hierarchy, or where our place in it cannot be seen from here; permission when
// neither our own group nor one above it is ours to change. The detail says which and why.
Result<Place> find_place(const HostFs& fs);

// The same for a directory that is known, as a record has it; nothing is checked but that it is a cgroup of v2.
Result<Place> open_place(const HostFs& fs, const std::string& directory);

// The least memory.max from `place` upwards, as far as it is seen; nullopt: no limit.
std::optional<std::uint64_t> slot_memory_limit(const Place& place);

// "job-4711.0f3a5b7c9d1e".
std::string group_name(const std::string& job_id, const std::string& nonce);

// What the job may use at most; nullopt: whatever the slot has.
struct GroupLimits {
  std::optional<std::uint64_t> memory_bytes;  // of memory; none of it may be swapped out then
  std::optional<std::uint64_t> cpu_millis;    // thousandths of a CPU
  std::optional<std::uint64_t> pids;
};

struct JobGroup {
  Fd dir;
  std::string name;
  std::string path;
  std::uint64_t inode = 0;
  std::vector<std::string> controllers;  // that it has, sorted
  std::optional<std::uint64_t>
      memory_limit_bytes;  // in force on it: asked for, or what the slot leaves
  // To be kept by who watches the job instead: in a slot of HTCondor, which takes a memory kill below its own cgroup for
  // one of its own and ends the slot. The kernel only slows the job down above it (memory.high).
  std::optional<std::uint64_t> memory_guard_bytes;
  std::vector<std::string> notes;  // what could not be had, and why
};

// Empties `place` into its pilot group where controllers need that, enables them one by one, makes the group and sets
// its limits. Without `limits.memory_bytes` and with a limit on the slot it stays a gap below that, so that the job's
// own limit is met first and the pilot is spared. A limit that cannot be set is a note, not an error.
Result<JobGroup> make_group(const Place& place, const std::string& name, const GroupLimits& limits);

// Removes the group and the ones that the payload made in it, if it still is `inode` (0: not known, nothing can be in
// it). ErrorCode::busy while it holds processes; absence is a success.
Result<void> remove_group(const Place& place, const std::string& name, std::uint64_t inode);

}  // namespace gpuctl::cgroup
