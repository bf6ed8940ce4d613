// Which job on record is meant by `--job ID`, `--job UID/ID` and `--resubmission N`.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "flags.hpp"
#include "gpuctl/job/state_dir.hpp"

namespace gpuctl::app {

struct WantedJob {
  std::optional<uid_t> owner;  // where root means another user's
  std::string id;
  std::string resubmission;  // empty: whichever there is
};

// ErrorCode::usage or malformed for what cannot be a job's name. Needs the flag `job`.
Result<WantedJob> wanted_job(const Invocation& invocation);

// The one job that is meant, as its directory's name: not_found, or usage where several are.
Result<std::string> name_of_job(const job::StateDir& state, const WantedJob& wanted);

// The user whose job it is: named, or ourselves, or for root the only other one who has such a job.
Result<uid_t> owner_of_job(const std::optional<std::string>& state_dir, const WantedJob& wanted);

}  // namespace gpuctl::app
