// Which job on record is meant by `--job ID`, `--job UID/ID` and `--resubmission N`.
#pragma once

#include "flags.hpp"
#include "gpuctl/job/job_name.hpp"

namespace gpuctl::app {

using WantedJob = job::JobName;
using job::name_of_job;
using job::owner_of_job;

// ErrorCode::usage or malformed for what cannot be a job's name. Needs the flag `job`.
inline Result<WantedJob> wanted_job(const Invocation& invocation) {
  return job::parse_job_name(*invocation.last("job"), invocation.last("resubmission"));
}

}  // namespace gpuctl::app
