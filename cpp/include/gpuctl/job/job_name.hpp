// Which job on record is meant by an id, and whose it is.
//
//   Result<JobName> name = parse_job_name("1000/4711", std::nullopt);
//   Result<uid_t> owner = owner_of_job(state_dir, *name);
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "gpuctl/base/result.hpp"
#include "gpuctl/job/state_dir.hpp"

namespace gpuctl::job {

struct JobName {
  std::optional<uid_t> owner;  // UID/ID: where root means another user's
  std::string id;
  std::string resubmission;  // empty: whichever there is
};

// ErrorCode::usage or malformed for what cannot be a job's name.
Result<JobName> parse_job_name(const std::string& text,
                               const std::optional<std::string>& resubmission);

// The one job that is meant, as its directory's name: not_found, or usage where several are.
Result<std::string> name_of_job(const StateDir& state, const JobName& wanted);

// The user whose job it is: named, or ourselves, or for root the only other one who has such a job.
Result<uid_t> owner_of_job(const std::optional<std::string>& state_dir, const JobName& wanted);

}  // namespace gpuctl::job
