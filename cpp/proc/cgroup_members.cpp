#include <cerrno>
#include <set>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/proc/identity.hpp"
#include "gpuctl/proc/walk.hpp"

namespace gpuctl::proc {
namespace {

constexpr std::size_t kMaxDepth = 64;  // a payload may nest its own cgroups as deep as it likes

Result<void> require_plain(const std::string& path) {
  const bool absolute = !path.empty() && path.front() == '/';
  for (const std::string_view part : split(path, '/')) {
    if (absolute && part != "..") continue;
    return fail(ErrorCode::usage, "",
                "`" + printable(path) + "` is no path of a cgroup: it " +
                    (absolute ? "holds `..`" : "does not begin with `/`"));
  }
  return {};
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Where the v2 hierarchy is: alone, or beside those of v1 (hybrid).
std::string unified_mount(const HostFs& fs) {
  const std::string beside = std::string(host_paths::kCgroupMount) + "/unified";
  const Result<std::optional<Dir>> directory = fs.open_dir_if_present(beside);
  return directory && *directory ? beside : host_paths::kCgroupMount;
}

std::string directory_of(const HostFs& fs, const std::string& path) {
  const std::string mount = std::string("/") + host_paths::kCgroupMount;
  if (path == mount || starts_with(path, mount + "/")) return path.substr(1);
  return unified_mount(fs) + path;
}

// A cgroup may leave while we look at it: ENOENT, ENODEV.
bool has_left(const Error& error) {
  return error.code == ErrorCode::not_found || error.code == ErrorCode::vanished;
}

// 0 stands for a member of another pid namespace, and for one that is just ending.
std::vector<pid_t> numbers_in(const std::string& text) {
  std::vector<pid_t> numbers;
  for (const std::string_view line : split(text, '\n')) {
    const Result<std::uint64_t> number = parse_unsigned(line, "pid", 10, 0x7fffffff);
    if (number && *number != 0) numbers.push_back(static_cast<pid_t>(*number));
  }
  return numbers;
}

// Members of this cgroup alone. In a threaded one only its threads can be read: EOPNOTSUPP.
Result<void> add_members(const HostFs& fs, const Dir& directory, std::set<pid_t>& pids) {
  const Result<std::string> members = directory.read("cgroup.procs");
  if (members) {
    for (const pid_t pid : numbers_in(*members)) pids.insert(pid);
    return {};
  }
  if (members.error().errno_value != EOPNOTSUPP) return fail(members.error());
  const Result<std::string> threads = directory.read("cgroup.threads");
  if (!threads) return fail(threads.error());
  for (const pid_t thread : numbers_in(*threads)) {
    if (const Result<pid_t> pid = thread_group_of(fs, thread)) pids.insert(*pid);
  }
  return {};
}

Result<void> collect(const HostFs& fs, const std::string& path, std::size_t depth,
                     std::set<pid_t>& pids) {
  const Result<Dir> directory = fs.open_dir(path);
  if (!directory) return fail(directory.error());
  if (Result<void> added = add_members(fs, *directory, pids); !added) return added;
  const Result<std::vector<std::string>> names = directory->names();
  if (!names || depth == 0) return {};
  for (const std::string& name : *names) {
    // Only a cgroup has this file, and no control file is a directory.
    if (!directory->exists(name + "/cgroup.procs")) continue;
    const Result<void> below = collect(fs, path + "/" + name, depth - 1, pids);
    if (!below && !has_left(below.error())) return below;
  }
  return {};
}

}  // namespace

Result<std::vector<Stat>> in_cgroup(const HostFs& fs, const std::string& path) {
  if (Result<void> plain = require_plain(path); !plain) return fail(plain.error());
  std::set<pid_t> pids;
  if (Result<void> read = collect(fs, directory_of(fs, path), kMaxDepth, pids); !read)
    return fail(read.error());
  std::vector<Stat> found;
  for (const pid_t pid : pids) {
    if (Result<Stat> stat = read_stat(fs, pid)) found.push_back(std::move(*stat));
  }
  return found;
}

}  // namespace gpuctl::proc
