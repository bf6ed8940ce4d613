#include "gpuctl/proc/walk.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::proc {
namespace {

std::string process_path(pid_t pid) {
  return std::string(host_paths::kProc) + "/" + std::to_string(pid);
}

std::optional<pid_t> as_pid(std::string_view text) {
  const Result<std::uint64_t> pid = parse_unsigned(text, "pid", 10, 0x7fffffff);
  if (!pid || *pid == 0) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

bool children_files_exist(const HostFs& fs) {
  const std::string self = std::to_string(::getpid());
  const Result<std::optional<Dir>> task =
      fs.open_dir_if_present(process_path(::getpid()) + "/task/" + self);
  return task && *task && (*task)->exists("children");
}

// What all threads of `pid` have forked: the file of one thread lists only that thread's children.
std::vector<pid_t> children(const HostFs& fs, pid_t pid, std::uint64_t threads) {
  std::vector<std::string> thread_ids{std::to_string(pid)};
  const std::string tasks = process_path(pid) + "/task";
  if (threads > 1) {
    const Result<Dir> directory = fs.open_dir(tasks);
    if (directory) thread_ids = directory->names().value_or(std::move(thread_ids));
  }
  std::vector<pid_t> found;
  for (const std::string& thread : thread_ids) {
    const Result<std::string> text = fs.read_file(tasks + "/" + thread + "/children");
    if (!text) continue;  // the thread has ended
    for (const std::string_view word : split(*text, ' ')) {
      if (const std::optional<pid_t> child = as_pid(word)) found.push_back(*child);
    }
  }
  return found;
}

std::vector<Stat> descendants_by_children(const HostFs& fs, pid_t root) {
  std::vector<Stat> found;
  std::set<pid_t> seen{root};
  const Result<Stat> top = read_stat(fs, root);
  std::vector<std::pair<pid_t, std::uint64_t>> pending{{root, top ? top->threads : 1}};
  for (std::size_t next = 0; next < pending.size(); ++next) {
    const auto [pid, threads] = pending[next];
    for (const pid_t child : children(fs, pid, threads)) {
      if (!seen.insert(child).second) continue;
      Result<Stat> stat = read_stat(fs, child);
      if (!stat) continue;
      pending.emplace_back(child, stat->threads);
      found.push_back(std::move(*stat));
    }
  }
  return found;
}

std::vector<Stat> descendants_by_scan(const HostFs& fs, pid_t root) {
  std::multimap<pid_t, Stat> by_parent;
  for (const pid_t pid : all_pids(fs).value_or(std::vector<pid_t>())) {
    if (Result<Stat> stat = read_stat(fs, pid)) by_parent.emplace(stat->ppid, std::move(*stat));
  }
  std::vector<Stat> found;
  std::vector<pid_t> pending{root};
  for (std::size_t next = 0; next < pending.size(); ++next) {
    const auto [begin, end] = by_parent.equal_range(pending[next]);
    for (auto child = begin; child != end; ++child) {
      pending.push_back(child->second.pid);
      found.push_back(child->second);
    }
  }
  return found;
}

bool belongs_to(const HostFs& fs, pid_t pid, uid_t uid) {
  const Result<Dir> directory = fs.open_dir(process_path(pid));
  struct stat status{};
  return directory && ::fstat(directory->fd(), &status) == 0 && status.st_uid == uid;
}

// /proc/PID/environ separates entries by NUL.
bool environment_has(const HostFs& fs, pid_t pid, const std::string& entry) {
  const Result<std::string> environment =
      fs.read_file(process_path(pid) + "/environ", std::size_t{8} << 20);
  if (!environment) return false;
  for (const std::string_view each : split(*environment, '\0')) {
    if (each == entry) return true;
  }
  return false;
}

}  // namespace

std::vector<Stat> descendants(const HostFs& fs, pid_t root) {
  return children_files_exist(fs) ? descendants_by_children(fs, root)
                                  : descendants_by_scan(fs, root);
}

Result<std::vector<pid_t>> all_pids(const HostFs& fs) {
  const Result<Dir> directory = fs.open_dir(host_paths::kProc);
  if (!directory) return fail(directory.error());
  const Result<std::vector<std::string>> names = directory->names();
  if (!names) return fail(names.error());
  std::vector<pid_t> pids;
  for (const std::string& name : *names) {
    if (const std::optional<pid_t> pid = as_pid(name)) pids.push_back(*pid);
  }
  return pids;
}

std::vector<Stat> marked(const HostFs& fs, const std::string& entry, std::uint64_t since_ticks) {
  std::vector<Stat> found;
  for (const pid_t pid : all_pids(fs).value_or(std::vector<pid_t>())) {
    if (!belongs_to(fs, pid, ::geteuid()))
      continue;  // cheap, and most processes of a node end here
    Result<Stat> stat = read_stat(fs, pid);
    if (!stat || stat->start_ticks < since_ticks || !environment_has(fs, pid, entry)) continue;
    found.push_back(std::move(*stat));
  }
  return found;
}

}  // namespace gpuctl::proc
