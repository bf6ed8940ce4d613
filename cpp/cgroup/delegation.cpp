#include "gpuctl/cgroup/delegation.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/group.hpp"
#include "gpuctl/cgroup/group_files.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr std::uint64_t kCgroup2Magic = 0x63677270;  // CGROUP2_SUPER_MAGIC of <linux/magic.h>
constexpr const char* kSlurmScope = "slurmstepd.scope";

bool is_cgroup2(int fd) {
  struct statfs file_system{};
  return ::fstatfs(fd, &file_system) == 0 &&
         static_cast<std::uint64_t>(file_system.f_type) == kCgroup2Magic;
}

Result<Fd> open_directory(const HostFs& fs, const std::string& directory) {
  return fs.open_path(directory.substr(directory.find_first_not_of('/')), O_RDONLY | O_DIRECTORY);
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
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
std::string objection_of_manager(const HostFs& fs, const Place& place) {
  if (::geteuid() != 0) return {};
  if (place.path.find(kSlurmScope) != std::string::npos) return "it is slurmd's";
  if (!fs.open_dir(host_paths::kSystemdRuns)) return {};
  for (std::string dir = place.directory; dir.size() > place.mount_point.size();
       dir = parent_of(dir)) {
    const Result<Fd> opened = open_directory(fs, dir);
    if (opened && has_delegate_mark(opened->get())) return {};
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

// Checks and opens `place`, of which only the names are known.
Result<Place> try_place(const HostFs& fs, Place place) {
  Result<Fd> dir = open_directory(fs, place.directory);
  if (!dir) return fail(dir.error());
  std::string why = objection_of_kernel(dir->get());
  if (why.empty()) why = objection_of_manager(fs, place);
  if (!why.empty()) return fail(ErrorCode::permission, place.path, why);
  place.is_top = ::faccessat(dir->get(), "cgroup.events", F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  place.dir = std::move(*dir);
  return place;
}

// The names of our own group, whose directory holds us for certain: who writes must not take another for it.
Result<Place> own_place(const HostFs& fs) {
  const Result<Branch> branch = branch_of_self(fs, "");
  if (!branch && branch.error().code == ErrorCode::unsupported) {
    return fail(ErrorCode::unsupported, branch.error().path,
                "a node with cgroup v1 only, whose groups are read and never made");
  }
  if (!branch) return fail(branch.error());
  if (!branch->dir) return fail(ErrorCode::unsupported, branch->path, branch->words);
  if (!branch->confirmed.value_or(false)) {
    return fail(ErrorCode::unsupported, branch->directory,
                "it does not list us: another cgroup is mounted where ours should be");
  }
  Place place;
  place.path = branch->path;
  place.directory = branch->directory;
  place.mount_point = branch->mount_point;
  return place;
}

Place names_above(const Place& place) {
  Place above;
  above.path = parent_of(place.path);
  above.directory = parent_of(place.directory);
  above.mount_point = place.mount_point;
  return above;
}

}  // namespace

Result<Place> open_place(const HostFs& fs, const std::string& directory) {
  Place place;
  place.directory = directory;
  Result<Fd> dir = open_directory(fs, directory);
  if (!dir) return fail(dir.error());
  if (!is_cgroup2(dir->get()))
    return fail(ErrorCode::unsupported, directory, "not in the cgroup v2 hierarchy");
  place.dir = std::move(*dir);
  return place;
}

Result<Place> find_place(const HostFs& fs) {
  Result<Place> own = own_place(fs);
  if (!own) return own;
  Place names = std::move(*own);
  const std::string suffix = std::string("/") + kPilotGroup;
  // In the pilot group of an earlier job its sibling is wanted, not a child.
  if (names.directory.size() > names.mount_point.size() + suffix.size() &&
      names.directory.compare(names.directory.size() - suffix.size(), suffix.size(), suffix) == 0)
    names = names_above(names);
  std::optional<Error> first;
  while (true) {
    Place above = names_above(names);
    const bool is_last = names.directory.size() <= names.mount_point.size();
    Result<Place> place = try_place(fs, std::move(names));
    if (place) return place;
    if (!first) first = place.error();
    if (is_last) return fail(*first);
    names = std::move(above);
  }
}

std::string group_name(const std::string& job_id, const std::string& nonce) {
  return "job-" + job_id + "." + nonce.substr(0, 12);
}

}  // namespace gpuctl::cgroup
