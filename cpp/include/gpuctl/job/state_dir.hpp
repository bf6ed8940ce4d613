// StateDir: where jobs are on record, so that any gpuctl of the same user can find, end and finish them.
//
//   STATE/                      1777 unless it was named; /run/gpuctl where it exists, else /dev/shm/gpuctl
//   STATE/jobs/UID/             0700, one per user
//   STATE/jobs/UID/ID.RESUB/    0700, one job: lock, job.rec, payload.rec, kill.rec, control, trace, report.json
//
// The holder of the flock on `lock` is the job's supervisor, and only it writes; a free lock means that the
// supervisor is dead. A job directory appears under its name with the lock already taken (it is made under another name and renamed), and
// leaves its name before it is emptied, so that there is no moment in which a name is half a job.
// Nothing is followed through a symbolic link; directories of others are refused.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::job {

// Our uid as the node knows it, in a user namespace too: jobs are on record by it. And back: what it is seen as here.
uid_t uid_on_node();
uid_t uid_here(uid_t on_node);

// One job's directory, opened.
struct JobDir {
  Fd dir;
  Fd lock;           // flock LOCK_EX held; invalid when somebody else holds it
  std::string name;  // ID.RESUBMISSION
  std::string path;  // for words

  bool is_ours() const { return static_cast<bool>(lock); }
};

class StateDir {
 public:
  // `explicit_path`: --state-dir or GPUCTL_STATE_DIR, made when it is missing.
  static Result<StateDir> open(const std::optional<std::string>& explicit_path);

  // The jobs of another user, for root; nothing is made. ErrorCode::not_found when that user has none.
  static Result<StateDir> open_of(const std::optional<std::string>& explicit_path, uid_t owner);

  // Users who have jobs here, ascending.
  static std::vector<uid_t> owners(const std::optional<std::string>& explicit_path);

  const std::string& path() const { return path_; }

  // The group of the user whose jobs these are.
  Result<gid_t> owner_group() const;

  // A new directory for this job, with its lock. ErrorCode::busy when the job is on record here.
  Result<JobDir> claim(const std::string& id, unsigned resubmission);

  // Names (ID.RESUBMISSION) of this user's jobs, sorted.
  Result<std::vector<std::string>> jobs() const;

  // Opens a job's directory, and takes its lock when it is free (its supervisor is dead).
  Result<JobDir> open_job(const std::string& name) const;

  // Frees the job's name and deletes its directory. Needs its lock.
  Result<void> remove(JobDir job);

  // Deletes what a crash left between two lines of claim() and remove().
  void sweep() const;

 private:
  StateDir(std::string path, uid_t owner, Fd jobs)
      : path_(std::move(path)), owner_(owner), jobs_(std::move(jobs)) {}

  std::string path_of(const std::string& name) const;

  std::string path_;
  uid_t owner_;
  Fd jobs_;  // STATE/jobs/UID
};

}  // namespace gpuctl::job
