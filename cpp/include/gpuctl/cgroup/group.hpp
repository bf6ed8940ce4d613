// Group: one cgroup with its directories, opened: one in the v2 hierarchy, with v1 one for each controller.
//
// The path that the kernel gives is no path in the file system: the hierarchy may be mounted elsewhere, from a lower
// cgroup on (containers), from a higher one than our cgroup namespace shows, be hidden by another mount, or not be there.
// Each Branch says how its directory was found, or why it was not: that is data, never an error. Nothing is written here.
//
//   Result<Group> group = Group::of_self(fs);
//   if (group->main().dir) openat(group->main().dir->fd(), "cgroup.procs", …);
//   else say(group->main().words);            // "not mounted: …"
//
// Sources: proc_pid_cgroup(5), proc_pid_mountinfo(5), cgroup_namespaces(7), statfs(2). Movable; directories are closed
// with the object. Const members may be called from several threads.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/cgroup/home.hpp"
#include "gpuctl/cgroup/slot.hpp"

namespace gpuctl::cgroup {

// How a directory was found, or why there is none.
enum class Found {
  mount,          // mount point and path
  mount_root,     // mount point and what follows the mount's root in the path: a container's view
  search,         // the mount begins above our cgroup namespace: found by the pid in cgroup.procs
  default_mount,  // no mountinfo (a recording): where the kernel's hierarchies usually are
  given,          // the caller gave the directory or the path
  deleted,        // the cgroup was removed, the process (a zombie, or one on its way out) is left
  outside_namespace,  // `..` in the path: not below the root of our cgroup namespace
  outside_mount,      // not below what is mounted here
  not_mounted,        // the hierarchy is mounted nowhere that we see
  masked,             // something else is mounted over it
  unreachable,        // may not be entered, or is not there
};

// "mount", "mount_root", ... as in JSON.
const char* name_of(Found found);

struct Branch {
  std::vector<std::string> controllers;  // none: the v2 hierarchy
  std::string path;                      // in its hierarchy, without " (deleted)"
  std::string mount_point;               // in the file system; empty where it is not mounted
  std::string mount_root;                // path of the cgroup that is mounted there
  std::string directory;                 // mount_point/user.slice; empty: not found
  std::optional<Dir> dir;                // the same, opened (O_PATH)
  Found found = Found::not_mounted;
  std::string words;  // the same for people
  std::optional<bool>
      confirmed;  // is the pid in its cgroup.procs? nullopt: may not be read, or no pid

  bool is_v2() const { return controllers.empty(); }
};

class Group {
 public:
  // ErrorCode::not_found or vanished when there is no such process; malformed when /proc shows nonsense.
  static Result<Group> of_self(const HostFs& fs);
  static Result<Group> of_process(const HostFs& fs, pid_t pid);

  // A path in the hierarchies ("/user.slice"), or a directory below a mount point of one,
  // which then is the only branch. ErrorCode::usage for a path with `..` or that is not absolute, not_found where none is.
  static Result<Group> at(const HostFs& fs, const std::string& path);

  // A directory of the v2 hierarchy that is known to be mounted at `mount_point`: no mounts are read.
  static Result<Group> below(const HostFs& fs, const std::string& mount_point,
                             const std::string& directory);

  const std::string& version() const { return home_.version; }
  const std::string& path() const { return branches_.front().path; }
  const Slot& slot() const { return slot_; }
  std::optional<pid_t> pid() const { return pid_; }  // whose home it is

  const std::vector<Branch>& branches() const { return branches_; }  // main() first

  // v2's; in v1 that of the memory controller.
  const Branch& main() const { return branches_.front(); }

  // Where the controller's files are: v1's hierarchy with that controller (cpu, cpuacct, cpuset, memory, pids, blkio), else
  // v2's. nullptr where there is neither.
  const Branch* branch(const std::string& controller) const;

  // At least one directory was found.
  bool has_directory() const;

 private:
  Group(Home home, std::vector<Branch> branches, std::optional<pid_t> pid);
  static Result<Group> of(const HostFs& fs, Result<Home> home, pid_t pid);

  Home home_;
  std::vector<Branch> branches_;
  Slot slot_;
  std::optional<pid_t> pid_;
};

// Of the calling process, what Group::branch() gives, found alone: on a node with v1 a tenth of the cost of all of them.
// "" is the v2 hierarchy. ErrorCode::unsupported where there is no such hierarchy.
Result<Branch> branch_of_self(const HostFs& fs, const std::string& controller);

}  // namespace gpuctl::cgroup
