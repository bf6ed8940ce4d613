// The records of one job: what a stranger needs to end and to finish it. See state_dir.hpp for their places.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/record.hpp"
#include "gpuctl/base/tree.hpp"
#include "gpuctl/proc/identity.hpp"

namespace gpuctl::job {

inline constexpr const char* kJobRecord = "job.rec";
inline constexpr const char* kPayloadRecord = "payload.rec";
inline constexpr const char* kKillRecord = "kill.rec";
inline constexpr const char* kReportFile = "report.json";
inline constexpr const char* kTraceFile = "trace";

// Written before anything is made for the job.
struct JobRecord {
  std::string id;
  unsigned resubmission = 0;
  std::string nonce;
  std::vector<std::string> argv;
  proc::Identity supervisor;
  std::string report_path;
  std::optional<std::string>
      workdir_parent;  // with its names before, and its id after the directory is made
  std::string workdir_name;
  std::string workdir_made_as;
  FileId workdir_id;
  std::optional<std::string> cgroup_place;  // where the job's own is made, before it is made
  std::string cgroup_name;                  // bears the nonce
  std::optional<std::string> gpu_root;      // whose GPUs it reserves; absent: none
};

// Written while the payload waits for its exec.
struct PayloadRecord {
  std::string fence;
  proc::Identity init;  // the namespace's init; with a session fence the payload itself
  proc::Identity payload;
  std::optional<std::uint64_t> pid_namespace;
  std::optional<std::string> cgroup_path;  // the job's own, else the supervisor's
  std::uint64_t cgroup_inode = 0;          // of the job's own; 0: it has none
  std::optional<Usec> ttl_deadline;        // monotonic
  std::string lease_id;                    // empty: no GPU
};

// Written when a kill is accepted, and at each of its stages.
struct KillRecord {
  std::string reason;
  std::string by;
  Usec deadline = 0;                         // monotonic
  std::string stage;                         // "accepted", "asked", "forced"
  std::optional<std::uint64_t> asked_ticks;  // whoever started before this has got its TERM
};

// Now, in the unit of proc::Stat::start_ticks.
std::uint64_t ticks_since_boot();

Result<void> write(int job_dir_fd, const JobRecord& record);
Result<void> write(int job_dir_fd, const PayloadRecord& record);
Result<void> write(int job_dir_fd, const KillRecord& record);

Result<JobRecord> read_job_record(int job_dir_fd);
Result<PayloadRecord> read_payload_record(int job_dir_fd);
Result<KillRecord> read_kill_record(int job_dir_fd);

// The environment entry by which processes of this job are found.
inline constexpr const char* kMarkVariable = "GPUCTL_JOB_NONCE";
std::string mark_of(const std::string& nonce);

}  // namespace gpuctl::job
