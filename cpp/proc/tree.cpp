#include "gpuctl/proc/tree.hpp"

#include <algorithm>
#include <cerrno>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/proc/identity.hpp"
#include "gpuctl/proc/walk.hpp"
#include "proc_dir.hpp"

namespace gpuctl::proc {
namespace {

using Members = std::map<pid_t, TreeMember>;

bool is_older(const TreeMember* a, const TreeMember* b) {
  return std::pair(a->stat.start_ticks, a->stat.pid) < std::pair(b->stat.start_ticks, b->stat.pid);
}

// Members by parent, the youngest first; those without a parent here are below 0.
std::map<pid_t, std::vector<TreeMember*>> by_parent(Members& members) {
  std::map<pid_t, std::vector<TreeMember*>> children;
  for (auto& [pid, member] : members) {
    const bool has_parent = member.stat.ppid != pid && members.count(member.stat.ppid) != 0;
    children[has_parent ? member.stat.ppid : 0].push_back(&member);
  }
  for (auto& [parent, list] : children)
    std::sort(list.begin(), list.end(), [](auto* a, auto* b) { return is_older(b, a); });
  return children;
}

// Depth first, without recursion: a chain of processes may be as long as the node allows. Those of a circle, which a
// look at two moments can make of reused numbers, have no place below a root and come last.
std::vector<TreeMember> arranged(Members members) {
  auto children = by_parent(members);
  std::vector<TreeMember> ordered;
  std::vector<TreeMember*> pending = children[0];
  std::set<pid_t> done;
  auto next_root = members.begin();
  while (!pending.empty() || ordered.size() < members.size()) {
    if (pending.empty()) {
      while (done.count(next_root->first) != 0) ++next_root;
      pending.push_back(&next_root->second);
    }
    TreeMember* member = pending.back();
    pending.pop_back();
    const pid_t pid = member->stat.pid;
    if (!done.insert(pid).second) continue;
    const std::size_t depth = member->depth;
    ordered.push_back(std::move(*member));
    for (TreeMember* child : children[pid]) {
      child->depth = depth + 1;
      pending.push_back(child);
    }
  }
  return ordered;
}

// What is typed or read from a cgroup counts in our pid namespace; /proc may count in another (unshare without a mount).
Result<void> require_our_numbers(const HostFs& fs) {
  if (!fs.is_live()) return {};
  const Result<Here> here = read_here(fs);
  return here ? Result<void>() : fail(here.error());
}

std::string count_of_processes(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " process" : " processes");
}

}  // namespace

const char* name_of(FoundBy how) {
  switch (how) {
    case FoundBy::root: return "root";
    case FoundBy::kinship: return "kinship";
    case FoundBy::cgroup: return "cgroup";
    case FoundBy::pid_namespace: return "pid_namespace";
    case FoundBy::marker: break;
  }
  return "marker";
}

void TreeBuilder::add(Stat stat, FoundBy how) {
  const pid_t pid = stat.pid;
  TreeMember& member = members_[pid];
  member.stat = std::move(stat);
  member.found_by.insert(how);
}

void TreeBuilder::add(std::vector<Stat> stats, FoundBy how) {
  for (Stat& stat : stats) add(std::move(stat), how);
}

void TreeBuilder::add_descendants(pid_t root) {
  bool complete = true;
  add(descendants(fs_, root, &complete), FoundBy::kinship);
  complete_ = complete_ && complete;
}

// "btime 1763840000" in /proc/stat: seconds.
std::optional<std::uint64_t> TreeBuilder::read_boot_usec() const {
  const Result<std::string> text = fs_.read_file(host_paths::kStat);
  if (!text) return std::nullopt;
  for (const std::string_view line : split(*text, '\n')) {
    if (line.substr(0, 6) != "btime ") continue;
    const Result<std::uint64_t> seconds = parse_unsigned(line.substr(6), "btime", 10, 1ULL << 40);
    if (seconds) return *seconds * 1'000'000;
  }
  return std::nullopt;
}

Tree TreeBuilder::finish() {
  Tree tree;
  tree.boot_usec = read_boot_usec();
  tree.members = arranged(std::move(members_));
  members_.clear();
  const Result<internal::ProcDir> proc = internal::ProcDir::open(fs_);
  const OpenNodes holders(fs_, gpu_nodes(fs_));
  std::size_t closed = 0;
  for (TreeMember& member : tree.members) {
    if (proc) member.uid = proc->owner(member.stat.pid);
    if (member.stat.is_dead() || member.stat.is_kernel_thread()) {
      member.gpu_nodes.emplace();  // they hold nothing open
      continue;
    }
    member.gpu_nodes = holders.of(member.stat.pid);
    if (!member.gpu_nodes && member.uid) ++closed;
  }
  if (!complete_) {
    tree.problems.push_back(
        {ErrorCode::io, EMFILE, "", "descriptors or memory ran out: processes may be missing"});
  }
  if (closed > 0) {
    tree.problems.push_back({ErrorCode::permission, 0, "",
                             "the open files of " + count_of_processes(closed) +
                                 " may not be read: ask as their user or as root"});
  }
  return tree;
}

Result<Tree> tree_of_process(const HostFs& fs, pid_t pid) {
  if (Result<void> meant = require_our_numbers(fs); !meant) return fail(meant.error());
  Result<Stat> stat = read_stat(fs, pid);
  if (!stat) return fail(std::move(stat).error());
  const Result<pid_t> group = thread_group_of(fs, pid);
  if (group && *group != pid) {
    return fail(ErrorCode::usage, "",
                std::to_string(pid) + " is a thread: name its process, " + std::to_string(*group));
  }
  TreeBuilder builder(fs);
  builder.add(std::move(*stat), FoundBy::root);
  builder.add_descendants(pid);
  return builder.finish();
}

Result<Tree> tree_of_cgroup(const HostFs& fs, const std::string& path) {
  if (Result<void> meant = require_our_numbers(fs); !meant) return fail(meant.error());
  Result<std::vector<Stat>> members = in_cgroup(fs, path);
  if (!members) return fail(std::move(members).error());
  TreeBuilder builder(fs);
  builder.add(std::move(*members), FoundBy::cgroup);
  return builder.finish();
}

}  // namespace gpuctl::proc
