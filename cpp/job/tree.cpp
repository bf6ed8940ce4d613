#include "gpuctl/job/tree.hpp"

#include "gpuctl/proc/identity.hpp"
#include "gpuctl/proc/walk.hpp"
#include "records.hpp"

namespace gpuctl::job {
namespace {

// The process itself and all below it, if it still is who was recorded.
void add_family(proc::TreeBuilder& builder, const HostFs& fs, const proc::Identity& head) {
  if (proc::judge(fs, head) != proc::Liveness::alive) return;
  Result<proc::Stat> stat = proc::read_stat(fs, head.pid);
  if (!stat || proc::machine_ticks(stat->start_ticks) != head.start_ticks) return;
  builder.add(std::move(*stat), proc::FoundBy::root);
  builder.add_descendants(head.pid);
}

// A cgroup on record that is not the job's own is the supervisor's, which it shares with whoever started it: no trace of
// the job.
void add_payload(proc::TreeBuilder& builder, const HostFs& fs, const PayloadRecord& payload,
                 uid_t owner) {
  add_family(builder, fs, payload.init);
  if (payload.cgroup_path && payload.cgroup_inode != 0) {
    if (Result<std::vector<proc::Stat>> members = proc::in_cgroup(fs, *payload.cgroup_path))
      builder.add(std::move(*members), proc::FoundBy::cgroup);
  }
  if (payload.pid_namespace) {
    builder.add(proc::in_pid_namespace(fs, *payload.pid_namespace, owner),
                proc::FoundBy::pid_namespace);
  }
}

}  // namespace

Result<proc::Tree> tree_of_job(const HostFs& fs, int job_dir_fd, uid_t owner) {
  const Result<JobRecord> job = read_job_record(job_dir_fd);
  if (!job) return fail(job.error());
  const Result<proc::Here> here = proc::read_here(fs);
  if (!here) return fail(here.error());
  proc::TreeBuilder builder(fs);
  if (here->boot_id != job->supervisor.boot_id) return builder.finish();
  if (here->pid_namespace != job->supervisor.pid_namespace) {
    return fail(ErrorCode::unavailable, "",
                "the job runs in another pid namespace, where its numbers have their meaning");
  }
  add_family(builder, fs, job->supervisor);
  if (const Result<PayloadRecord> payload = read_payload_record(job_dir_fd))
    add_payload(builder, fs, *payload, owner);
  builder.add(proc::marked(fs, mark_of(job->nonce), proc::shown_ticks(job->supervisor), owner),
              proc::FoundBy::marker);
  return builder.finish();
}

}  // namespace gpuctl::job
