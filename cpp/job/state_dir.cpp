#include "gpuctl/job/state_dir.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/random.hpp"
#include "gpuctl/base/state_place.hpp"
#include "gpuctl/base/tree.hpp"
#include "gpuctl/base/uid_map.hpp"

namespace gpuctl::job {
namespace {

constexpr const char* kLock = "lock";
constexpr std::string_view kBeingMade = ".new-";
constexpr std::string_view kBeingRemoved = ".old-";
constexpr time_t kSweepAgeSeconds = 60;

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

uid_t uid_on_node() {
  const Result<HostFs> live = HostFs::open("/");
  return live ? gpuctl::uid_on_node(*live) : ::geteuid();
}

uid_t uid_here(uid_t on_node) { return on_node == uid_on_node() ? ::geteuid() : on_node; }

Result<StateDir> StateDir::open(const std::optional<std::string>& explicit_path) {
  const std::string path = state_place(explicit_path);
  const Result<Fd> state = open_state(explicit_path);
  if (!state) return fail(state.error());
  const Result<Fd> jobs = open_or_make_dir(state->get(), "jobs", mode_like(state->get()));
  if (!jobs) return fail(jobs.error());
  if (Result<void> safe = require_safe_dir(jobs->get(), path + "/jobs", std::nullopt); !safe)
    return fail(safe.error());
  const uid_t owner = uid_on_node();
  const std::string uid = std::to_string(owner);
  Result<Fd> own = open_or_make_dir(jobs->get(), uid, 0700);
  if (!own) return fail(own.error());
  if (Result<void> safe = require_safe_dir(own->get(), path + "/jobs/" + uid, ::geteuid()); !safe)
    return fail(safe.error());
  return StateDir(path, owner, std::move(*own));
}

Result<StateDir> StateDir::open_of(const std::optional<std::string>& explicit_path, uid_t owner) {
  const std::string path = state_place(explicit_path);
  const std::string own_path = path + "/jobs/" + std::to_string(owner);
  Result<Fd> own = open_at(AT_FDCWD, own_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!own) return fail(std::move(own).error());
  if (Result<void> safe = require_safe_dir(own->get(), own_path, uid_here(owner)); !safe)
    return fail(safe.error());
  return StateDir(path, owner, std::move(*own));
}

std::vector<uid_t> StateDir::owners(const std::optional<std::string>& explicit_path) {
  std::vector<uid_t> found;
  const std::string path = state_place(explicit_path) + "/jobs";
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
