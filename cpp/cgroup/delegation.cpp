#include "gpuctl/cgroup/delegation.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/without.hpp"
#include "gpuctl/cgroup/group_files.hpp"
#include "gpuctl/cgroup/home.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr std::uint64_t kCgroup2Magic = 0x63677270;  // CGROUP2_SUPER_MAGIC of <linux/magic.h>
constexpr const char* kSlurmScope = "slurmstepd.scope";

bool is_cgroup2(int fd) {
  struct statfs file_system{};
  return ::fstatfs(fd, &file_system) == 0 &&
         static_cast<std::uint64_t>(file_system.f_type) == kCgroup2Magic;
}

Result<std::string> mount_of(const HostFs& fs) {
  for (const char* each : {host_paths::kCgroupMount, host_paths::kCgroupUnified}) {
    const Result<Dir> dir = fs.open_dir(each);
    if (dir && is_cgroup2(dir->fd())) return std::string(each);
  }
  return fail(ErrorCode::unsupported, fs.where(host_paths::kCgroupMount),
              "no cgroup v2 hierarchy is mounted");
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count; ++i) path += "/" + parts[i];
  return path.empty() ? "/" : path;
}

bool holds_us(int dir_fd) {
  const std::vector<pid_t> pids = read_pids(dir_fd);
  return std::find(pids.begin(), pids.end(), ::getpid()) != pids.end();
}

bool has_delegate_mark(int dir_fd) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    char value = 0;
    if (::fgetxattr(dir_fd, name, &value, 1) == 1 && value == '1') return true;
  }
  return false;
}

// A user may change what was handed to it. Root may change everything, so that systemd's word is needed: what a unit
// has not delegated is systemd's alone ("single writer").
std::string objection_of_manager(const HostFs& fs, const std::string& mount,
                                 const std::vector<std::string>& parts, std::size_t depth) {
  if (::geteuid() != 0) return {};
  if (std::find(parts.begin(), parts.end(), kSlurmScope) != parts.end()) return "it is slurmd's";
  if (!fs.open_dir(host_paths::kSystemdRuns)) return {};
  for (std::size_t level = depth; level > 0; --level) {
    const Result<Dir> dir = fs.open_dir(mount + joined(parts, level));
    if (dir && has_delegate_mark(dir->fd())) return {};
  }
  return "it is systemd's, which has not delegated it";
}

// Why no group can be made in it, or empty.
std::string objection_of_kernel(int dir_fd) {
  for (const char* file : {".", "cgroup.procs"}) {
    if (::faccessat(dir_fd, file, W_OK, AT_EACCESS) != 0)
      return system_error(errno, "", std::string("cannot write `") + file + "`").message();
  }
  const Result<std::string> type = read_file(dir_fd, "cgroup.type");
  if (type && trim(*type) != "domain") return "it is " + std::string(trim(*type));
  return {};
}

Result<Place> try_place(const HostFs& fs, const std::string& mount,
                        const std::vector<std::string>& parts, std::size_t depth) {
  Place place;
  place.path = joined(parts, depth);
  place.mount = mount;
  Result<Fd> dir = fs.open_path(mount + place.path, O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error());
  std::string why = objection_of_kernel(dir->get());
  if (why.empty()) why = objection_of_manager(fs, mount, parts, depth);
  if (!why.empty()) return fail(ErrorCode::permission, place.path, why);
  place.is_top = ::faccessat(dir->get(), "cgroup.events", F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  place.dir = std::move(*dir);
  return place;
}

}  // namespace

Result<Place> open_place(const HostFs& fs, const std::string& path) {
  const Result<std::string> mount = mount_of(fs);
  if (!mount) return fail(mount.error());
  Place place;
  place.path = path;
  place.mount = *mount;
  const std::vector<std::string> parts = parts_of(path);
  if (std::find(parts.begin(), parts.end(), "..") != parts.end())
    return fail(ErrorCode::usage, path, "`..` in it");
  Result<Fd> dir = fs.open_path(*mount + path, O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error());
  place.dir = std::move(*dir);
  return place;
}

Result<Place> find_place(const HostFs& fs) {
  const Result<Home> home = read_home(fs);
  if (!home) return fail(home.error());
  if (home->version == "v1")
    return fail(ErrorCode::unsupported, home->path, "a cgroup v1 node: groups of v1 are read only");
  const Result<std::string> mount = mount_of(fs);
  if (!mount) return fail(mount.error());
  const std::vector<std::string> parts = parts_of(home->path);
  if (std::find(parts.begin(), parts.end(), "..") != parts.end())
    return fail(ErrorCode::unsupported, home->path, "our cgroup lies outside of this namespace");
  const Result<Place> own = open_place(fs, home->path);
  if (!own || !holds_us(own->dir.get())) {
    return fail(ErrorCode::unsupported, home->path,
                "we are not in this cgroup of the mounted hierarchy: it is masked, or another's");
  }
  // In the pilot group of an earlier job its sibling is wanted, not a child.
  std::size_t depth = parts.size();
  const bool in_pilot_group = depth > 0 && parts[depth - 1] == kPilotGroup;
  std::optional<Error> first;
  for (std::size_t level = in_pilot_group ? depth - 1 : depth;; --level) {
    Result<Place> place = try_place(fs, *mount, parts, level);
    if (place) return place;
    if (!first) first = place.error();
    if (level == 0) return fail(*first);
  }
}

std::string group_name(const std::string& job_id, const std::string& nonce) {
  return "job-" + job_id + "." + nonce.substr(0, 12);
}

}  // namespace gpuctl::cgroup
