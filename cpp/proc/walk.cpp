#include "gpuctl/proc/walk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <set>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/without.hpp"
#include "gpuctl/proc/environment.hpp"
#include "gpuctl/proc/identity.hpp"
#include "proc_dir.hpp"

namespace gpuctl::proc {
namespace {

using internal::ProcDir;

constexpr std::size_t kMaxChildrenBytes = std::size_t{1} << 22;

// Children by parent, of all processes.
using Families = std::multimap<pid_t, Stat>;

std::optional<pid_t> as_pid(std::string_view text) {
  const Result<std::uint64_t> pid = parse_unsigned(text, "pid", 10, 0x7fffffff);
  if (!pid || *pid == 0) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

std::optional<Stat> stat_of(ProcDir& proc, pid_t pid) {
  const auto text = proc.read(pid, "stat", internal::kMaxStatBytes);
  Result<Stat> stat = text ? parse_stat(*text) : fail(ErrorCode::vanished, "", "");
  if (!stat) return std::nullopt;
  return std::move(*stat);
}

bool children_files_exist(ProcDir& proc) {
  if (without().children) return false;
  const std::string own = "task/" + std::to_string(::getpid()) + "/children";
  return static_cast<bool>(proc.open_file(::getpid(), own.c_str()));
}

// The numbers of all threads, the first one's alone where there are no others.
std::vector<std::string> threads_of(const ProcDir& proc, pid_t pid, std::uint64_t threads) {
  std::vector<std::string> ids{std::to_string(pid)};
  if (threads <= 1) return ids;
  Fd tasks = proc.open_file(pid, "task");
  if (!tasks) return ids;
  return Dir(std::move(tasks), "task").names().value_or(std::move(ids));
}

// What all threads of `pid` have forked: the file of one thread lists only that thread's children.
std::vector<pid_t> children(ProcDir& proc, pid_t pid, std::uint64_t threads) {
  std::vector<pid_t> found;
  for (const std::string& thread : threads_of(proc, pid, threads)) {
    const std::string name = "task/" + thread + "/children";
    const auto text = proc.read(pid, name.c_str(), kMaxChildrenBytes);
    if (!text) continue;  // the thread has ended
    for (const std::string_view word : split(*text, ' ')) {
      if (const std::optional<pid_t> child = as_pid(word)) found.push_back(*child);
    }
  }
  return found;
}

Families families(ProcDir& proc) {
  Families all;
  std::vector<pid_t> pids;
  if (!proc.list(pids)) return all;
  for (const pid_t pid : pids) {
    if (std::optional<Stat> stat = stat_of(proc, pid)) all.emplace(stat->ppid, std::move(*stat));
  }
  return all;
}

// It has a number that can be signalled, and no files: hidepid.
bool is_hidden(pid_t pid) { return ::kill(pid, 0) == 0 || errno == EPERM; }

// A walk down from one process. The families of all are read at most once, and only when they are needed.
class Walk {
 public:
  Walk(ProcDir& proc, bool live)
      : proc_(proc), live_(live), by_files_(children_files_exist(proc)) {}

  std::vector<Stat> below(pid_t root) {
    const std::optional<Stat> top = stat_of(proc_, root);
    seen_.insert(root);
    visit(root, top ? top->threads : 1, !top && live_ && is_hidden(root));
    std::size_t next = 0;
    while (next < found_.size()) {  // found_ grows and moves meanwhile
      const pid_t pid = found_[next].pid;
      const std::uint64_t threads = found_[next].threads;
      ++next;
      visit(pid, threads, false);
    }
    return std::move(found_);
  }

 private:
  void visit(pid_t pid, std::uint64_t threads, bool hidden) {
    if (!by_files_ || hidden) return visit_by_families(pid);
    for (const pid_t child : children(proc_, pid, threads)) {
      if (seen_.count(child) != 0) continue;
      if (std::optional<Stat> stat = stat_of(proc_, child)) {
        take(std::move(*stat));
      } else if (live_ && is_hidden(child)) {
        seen_.insert(child);
        visit_by_families(child);
      }
    }
  }

  void visit_by_families(pid_t pid) {
    if (!families_) families_ = families(proc_);
    const auto [begin, end] = families_->equal_range(pid);
    for (auto child = begin; child != end; ++child) take(child->second);
  }

  void take(Stat stat) {
    if (seen_.insert(stat.pid).second) found_.push_back(std::move(stat));
  }

  ProcDir& proc_;
  bool live_;
  bool by_files_;
  std::optional<Families> families_;
  std::set<pid_t> seen_;
  std::vector<Stat> found_;
};

// All of /proc whose stat passes `wanted`; of `uid` alone where it is given, which is cheap to tell.
template <typename Predicate>
std::vector<Stat> search(const HostFs& fs, std::optional<uid_t> uid, Predicate wanted) {
  std::vector<Stat> found;
  std::vector<pid_t> pids;
  Result<ProcDir> proc = ProcDir::open(fs);
  if (!proc || !proc->list(pids)) return found;
  for (const pid_t pid : pids) {
    if (uid && proc->owner(pid) != *uid) continue;
    std::optional<Stat> stat = stat_of(*proc, pid);
    if (stat && wanted(*proc, *stat)) found.push_back(std::move(*stat));
  }
  return found;
}

}  // namespace

std::vector<Stat> descendants(const HostFs& fs, pid_t root, bool* complete) {
  if (root <= 0) return {};  // no process; 0 is the parent of all that have none
  Result<ProcDir> proc = ProcDir::open(fs);
  std::vector<Stat> found;
  if (proc) found = Walk(*proc, fs.is_live()).below(root);
  if (complete != nullptr) *complete = proc && !proc->ran_out();
  return found;
}

Result<std::vector<pid_t>> all_pids(const HostFs& fs) {
  Result<ProcDir> proc = ProcDir::open(fs);
  if (!proc) return fail(std::move(proc).error());
  std::vector<pid_t> pids;
  if (Result<void> listed = proc->list(pids); !listed) return fail(listed.error());
  return pids;
}

std::vector<Stat> marked(const HostFs& fs, const std::string& entry, std::uint64_t since_ticks) {
  return marked(fs, entry, since_ticks, ::geteuid());
}

std::vector<Stat> marked(const HostFs& fs, const std::string& entry, std::uint64_t since_ticks,
                         uid_t uid) {
  return search(fs, uid, [&](ProcDir&, const Stat& stat) {
    return stat.start_ticks >= since_ticks && environment_has(fs, stat.pid, entry);
  });
}

std::vector<Stat> in_session(const HostFs& fs, pid_t sid) {
  return search(fs, std::nullopt, [&](ProcDir&, const Stat& stat) { return stat.session == sid; });
}

std::vector<Stat> in_pid_namespace(const HostFs& fs, std::uint64_t inode,
                                   std::optional<uid_t> uid) {
  return search(fs, uid, [&](ProcDir&, const Stat& stat) {
    const Result<std::uint64_t> found = read_namespace(fs, stat.pid, "pid");
    return found && *found == inode;
  });
}

}  // namespace gpuctl::proc
