#include "gpuctl/job/state_dir.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tree.hpp"

namespace gpuctl::job {
namespace {

constexpr const char* kLock = "lock";
constexpr std::string_view kBeingMade = ".new-";
constexpr std::string_view kBeingRemoved = ".old-";
constexpr time_t kSweepAgeSeconds = 60;

// flock(2) does not reach other machines on these (statfs(2), magic numbers of <linux/magic.h> and the clients').
constexpr std::array<std::uint64_t, 8> kNetworkFileSystems{
    0x6969, 0xff534d42, 0xfe534d42, 0x5346414f, 0x0bd00bd0, 0x47504653, 0x65735546, 0x00c36400};

Result<void> refuse_network(int fd, const std::string& path) {
  struct statfs file_system{};
  if (::fstatfs(fd, &file_system) != 0)
    return fail_errno(errno, path, "cannot tell the file system");
  const auto type = static_cast<std::uint32_t>(file_system.f_type);
  if (std::find(kNetworkFileSystems.begin(), kNetworkFileSystems.end(), type) ==
      kNetworkFileSystems.end())
    return {};
  return fail(ErrorCode::usage, path,
              "a network file system cannot hold the state: name a local one with --state-dir");
}

// Opens the directory `name`, making it first when it is not there. The mode is set whatever the umask is.
Result<Fd> open_or_make(int parent_fd, const std::string& name, mode_t mode) {
  Result<Fd> fd = open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd || fd.error().code != ErrorCode::not_found) return fd;
  const bool made = ::mkdirat(parent_fd, name.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return fail_errno(errno, name, "cannot make the directory");
  fd = open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd && made && ::fchmod(fd->get(), mode) != 0)
    return fail_errno(errno, name, "cannot set the mode");
  return fd;
}

// Whoever may write in the state directory may have jobs there.
mode_t mode_like(int fd) {
  struct stat status{};
  const bool shared = ::fstat(fd, &status) == 0 && (status.st_mode & 0022) != 0;
  return shared ? status.st_mode & 07777 : 0700;
}

// A directory in which others could replace our files is no place for state.
Result<void> require_safe(int fd, const std::string& path, std::optional<uid_t> owner) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, path, "cannot stat");
  const bool shared = !owner;
  const bool owned = owner && status.st_uid == *owner;
  const bool others_write = (status.st_mode & 0022) != 0;
  const bool sticky = (status.st_mode & S_ISVTX) != 0;
  if (shared ? (!others_write || sticky) : (owned && !others_write)) return {};
  return fail(
      ErrorCode::permission, path,
      shared
          ? "others may write in it and it is not sticky: `chmod 1777` it or name another with "
            "--state-dir"
          : "it belongs to somebody else or others may write in it: name another with --state-dir");
}

bool is_usable_directory(const char* path) {
  struct stat status{};
  return ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == 0 &&
         ::access(path, W_OK) == 0;
}

std::string place_of(const std::optional<std::string>& explicit_path) {
  if (explicit_path) return *explicit_path;
  return is_usable_directory(host_paths::kLiveRunState) ? host_paths::kLiveRunState
                                                        : host_paths::kLiveShmState;
}

std::string random_suffix() {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random)
    random = static_cast<std::uint64_t>(::getpid());
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(random));
  return text.data();
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool bears_name(int jobs_fd, const std::string& name, int dir_fd) {
  struct stat status{};
  const Result<FileId> opened = file_id(dir_fd, name);
  return opened && ::fstatat(jobs_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         *opened == FileId{status.st_dev, status.st_ino};
}

void remove_by_name(int jobs_fd, const std::string& name) {
  const Result<Fd> fd = open_at(jobs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) return;
  const Result<FileId> id = file_id(fd->get(), name);
  // A directory that stays is tried again by the next sweep.
  if (id) static_cast<void>(remove_tree(jobs_fd, name, *id).has_value());
}

}  // namespace

Result<StateDir> StateDir::open(const std::optional<std::string>& explicit_path) {
  const std::string path = place_of(explicit_path);
  const mode_t mode = explicit_path ? 0700 : 01777;
  const Result<Fd> state = open_or_make(AT_FDCWD, path, mode);
  if (!state) {
    Error error = state.error();
    error.detail += " for the state (name another with --state-dir)";
    return fail(std::move(error));
  }
  if (Result<void> safe = require_safe(state->get(), path, std::nullopt); !safe)
    return fail(safe.error());
  if (Result<void> local = refuse_network(state->get(), path); !local) return fail(local.error());

  const Result<Fd> jobs = open_or_make(state->get(), "jobs", mode_like(state->get()));
  if (!jobs) return fail(jobs.error());
  if (Result<void> safe = require_safe(jobs->get(), path + "/jobs", std::nullopt); !safe)
    return fail(safe.error());
  const std::string uid = std::to_string(::geteuid());
  Result<Fd> own = open_or_make(jobs->get(), uid, 0700);
  if (!own) return fail(own.error());
  if (Result<void> safe = require_safe(own->get(), path + "/jobs/" + uid, ::geteuid()); !safe)
    return fail(safe.error());
  return StateDir(path, ::geteuid(), std::move(*own));
}

Result<StateDir> StateDir::open_of(const std::optional<std::string>& explicit_path, uid_t owner) {
  const std::string path = place_of(explicit_path);
  const std::string own_path = path + "/jobs/" + std::to_string(owner);
  Result<Fd> own = open_at(AT_FDCWD, own_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!own) return fail(std::move(own).error());
  if (Result<void> safe = require_safe(own->get(), own_path, owner); !safe)
    return fail(safe.error());
  return StateDir(path, owner, std::move(*own));
}

std::vector<uid_t> StateDir::owners(const std::optional<std::string>& explicit_path) {
  std::vector<uid_t> found;
  const std::string path = place_of(explicit_path) + "/jobs";
  Result<Fd> jobs = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  if (!jobs) return found;
  for (const std::string& name :
       Dir(std::move(*jobs), path).names().value_or(std::vector<std::string>())) {
    const Result<std::uint64_t> uid = parse_unsigned(name, "uid", 10, 0xfffffffe);
    if (uid) found.push_back(static_cast<uid_t>(*uid));
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<gid_t> StateDir::owner_group() const {
  struct stat status{};
  if (::fstat(jobs_.get(), &status) != 0) return fail_errno(errno, path_, "cannot stat");
  return status.st_gid;
}

std::string StateDir::path_of(const std::string& name) const {
  return path_ + "/jobs/" + std::to_string(owner_) + "/" + name;
}

Result<JobDir> StateDir::claim(const std::string& id, unsigned resubmission) {
  JobDir job;
  job.name = id + "." + std::to_string(resubmission);
  job.path = path_of(job.name);
  const std::string temporary = std::string(kBeingMade) + random_suffix();
  if (::mkdirat(jobs_.get(), temporary.c_str(), 0700) != 0)
    return fail_errno(errno, job.path, "cannot make the directory");
  Result<Fd> dir = open_at(jobs_.get(), temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return fail(std::move(dir).error());
  Result<Fd> lock = open_at(dir->get(), kLock, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!lock) return fail(std::move(lock).error());
  const bool locked = ::flock(lock->get(), LOCK_EX | LOCK_NB) == 0;
  if (!locked || rename_without_replacing(jobs_.get(), temporary, job.name) != 0) {
    const int reason = errno;
    remove_by_name(jobs_.get(), temporary);
    if (reason == EEXIST || reason == ENOTEMPTY) {
      return fail(ErrorCode::busy, job.path, "the job is on record here already");
    }
    return fail_errno(reason, job.path, "cannot claim the job's directory");
  }
  job.dir = std::move(*dir);
  job.lock = std::move(*lock);
  return job;
}

Result<std::vector<std::string>> StateDir::jobs() const {
  Result<Fd> again = open_at(jobs_.get(), ".", O_RDONLY | O_DIRECTORY);
  if (!again) return fail(std::move(again).error());
  Result<std::vector<std::string>> names = Dir(std::move(*again), path_).names();
  if (!names) return names;
  const auto hidden = [](const std::string& name) { return starts_with(name, "."); };
  names->erase(std::remove_if(names->begin(), names->end(), hidden), names->end());
  return names;
}

Result<JobDir> StateDir::open_job(const std::string& name) const {
  JobDir job;
  job.name = name;
  job.path = path_of(name);
  Result<Fd> dir = open_at(jobs_.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const bool is_other_thing =
      !dir && (dir.error().errno_value == ENOTDIR || dir.error().errno_value == ELOOP);
  if (is_other_thing) return fail(ErrorCode::malformed, job.path, "not the directory of a job");
  if (!dir) return fail(std::move(dir).error());
  job.dir = std::move(*dir);
  Result<Fd> lock = open_at(job.dir.get(), kLock, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  if (!lock && bears_name(jobs_.get(), name, job.dir.get())) {
    return fail(ErrorCode::malformed, job.path, "not the directory of a job: it has no `lock`");
  }
  if (!lock) return fail(std::move(lock).error());
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) return job;
  // Its owner may have removed it since we opened it, and a new job may bear the name by now.
  if (!bears_name(jobs_.get(), name, job.dir.get()))
    return fail(ErrorCode::not_found, job.path, "the job is over");
  job.lock = std::move(*lock);
  return job;
}

Result<void> StateDir::remove(JobDir job) {
  const Result<FileId> id = file_id(job.dir.get(), job.path);
  if (!id) return fail(id.error());
  const std::string temporary = std::string(kBeingRemoved) + random_suffix();
  if (::renameat(jobs_.get(), job.name.c_str(), jobs_.get(), temporary.c_str()) != 0) {
    return fail_errno(errno, job.path, "cannot free the job's name");
  }
  return remove_tree(jobs_.get(), temporary, *id);
}

void StateDir::sweep() const {
  Result<Fd> again = open_at(jobs_.get(), ".", O_RDONLY | O_DIRECTORY);
  if (!again) return;
  for (const std::string& name :
       Dir(std::move(*again), path_).names().value_or(std::vector<std::string>())) {
    struct stat status{};
    const bool leftover = starts_with(name, kBeingMade) || starts_with(name, kBeingRemoved);
    if (!leftover || ::fstatat(jobs_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (status.st_ctime + kSweepAgeSeconds < ::time(nullptr)) remove_by_name(jobs_.get(), name);
  }
}

}  // namespace gpuctl::job
