// Finishing: what any gpuctl of the same user does for a job whose supervisor is dead, by the job's records.
#pragma once

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/job/state_dir.hpp"
#include "gpuctl/kill/engine.hpp"

namespace gpuctl::job {

struct Finished {
  kill::Report kill;
  bool gone = false;         // nothing of it is left: the directory may go
  bool was_running = false;  // its supervisor died before it was over
  bool delivered = false;    // the report is where it was asked for
  std::vector<std::string> problems;
};

// Ends what is left of the job in `job` (its lock is held by us): TERM, `grace`, KILL, until no process of it is found.
// A kill that its supervisor had begun is gone on with: nobody gets a second TERM, and its deadline holds. Removes its work directory and writes report.json. A job of another boot has no processes any more.
Finished finish_job(const HostFs& fs, const JobDir& job, Usec grace,
                    const std::vector<kill::Spared>& spared = {});

// Finishes every dead job of this user and removes those that were reported more than a day ago.
// Returns words for each, for the trace.
std::vector<std::string> finish_dead_jobs(const HostFs& fs, StateDir& state);

}  // namespace gpuctl::job
