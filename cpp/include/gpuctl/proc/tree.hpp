// Tree: the processes of one thing (a process and its descendants, a cgroup, a job) for people and programs to look at.
//
// A look at one moment, made of what walk.hpp finds. It decides nothing: who is to be ended is found again by cpp/kill.
//
//   TreeBuilder builder(fs);
//   builder.add(*read_stat(fs, pid), FoundBy::root);
//   builder.add_descendants(pid);
//   const Tree tree = builder.finish();
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/open_nodes.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::proc {

// How a process came to be in the tree; it may be by several.
enum class FoundBy { root, kinship, cgroup, pid_namespace, marker };
const char* name_of(FoundBy how);

struct TreeMember {
  Stat stat;
  std::size_t depth = 0;     // 0: its parent is not in the tree
  std::optional<uid_t> uid;  // effective; nullopt: it ended before that was read
  std::set<FoundBy> found_by;
  std::optional<std::vector<std::string>> gpu_nodes;  // held open now; nullopt: may not be read
};

struct Tree {
  std::vector<TreeMember> members;         // parents before their children, siblings by age
  std::optional<std::uint64_t> boot_usec;  // realtime of the boot, which start times count from
  std::vector<Error> problems;             // what could not be read
};

class TreeBuilder {
 public:
  // `fs` outlives it.
  explicit TreeBuilder(const HostFs& fs) : fs_(fs) {}

  void add(Stat stat, FoundBy how);
  void add(std::vector<Stat> stats, FoundBy how);

  // All below `root`; a problem where somebody may be missing.
  void add_descendants(pid_t root);
  bool empty() const { return members_.empty(); }

  // Reads users and open device nodes of all members.
  Tree finish();

 private:
  std::optional<std::uint64_t> read_boot_usec() const;

  const HostFs& fs_;
  std::map<pid_t, TreeMember> members_;
  bool complete_ = true;
};

// On the live machine both need a /proc of our own pid namespace: ErrorCode::unavailable where it shows another.

// The process and its descendants. ErrorCode::not_found or vanished when there is none, usage for a thread of one.
Result<Tree> tree_of_process(const HostFs& fs, pid_t pid);

// ErrorCode::not_found when there is no such cgroup; an empty one is an empty tree.
Result<Tree> tree_of_cgroup(const HostFs& fs, const std::string& path);

}  // namespace gpuctl::proc
