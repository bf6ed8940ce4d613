// Ending a job by its id: through its supervisor while that lives, else by the job's records.
//
//   Result<JobName> name = parse_job_name("4711", std::nullopt);
//   Result<JobKill> done = kill_job(state_dir, *name, request);
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/result.hpp"
#include "gpuctl/job/job_name.hpp"

namespace gpuctl::job {

struct KillRequest {
  std::optional<Usec> grace;       // nullopt: the job's ForcedKillTimeout
  std::vector<std::string> spare;  // see kill::parse_spared
  std::string by;                  // who asks, for the job's report
};

struct JobKill {
  Json kill;          // see kill::to_json; null when nothing had to be done
  bool gone = false;  // nothing of the job is left
  std::vector<std::string> problems;
};

// Waits for the end. The job is one of the caller's own uid. ErrorCode::not_found when there is no such job, usage
// where several submissions are on record, unavailable when the supervisor is alive and does not listen.
Result<JobKill> kill_job(const std::optional<std::string>& state_dir, const JobName& name,
                         const KillRequest& request);

}  // namespace gpuctl::job
