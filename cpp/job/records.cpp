#include "records.hpp"

#include <unistd.h>

#include <ctime>

namespace gpuctl::job {
namespace {

constexpr unsigned kVersion = 1;

}  // namespace

Result<void> write(int job_dir_fd, const JobRecord& job) {
  Record record("job", kVersion);
  record.set("id", job.id);
  record.set("resubmission", std::uint64_t{job.resubmission});
  record.set("nonce", job.nonce);
  store(record, "supervisor", job.supervisor);
  record.set("report_path", job.report_path);
  if (job.workdir_parent) {
    record.set("workdir.parent", *job.workdir_parent);
    record.set("workdir.name", job.workdir_name);
    record.set("workdir.made_as", job.workdir_made_as);
    record.set("workdir.device", job.workdir_id.device);
    record.set("workdir.inode", job.workdir_id.inode);
  }
  if (job.cgroup_place) {
    record.set("cgroup.place", *job.cgroup_place);
    record.set("cgroup.name", job.cgroup_name);
  }
  if (job.gpu_root) record.set("gpu_root", *job.gpu_root);
  record.set_list("argv", job.argv);
  return write_record(job_dir_fd, kJobRecord, record);
}

Result<JobRecord> read_job_record(int job_dir_fd) {
  const Result<Record> record = read_record(job_dir_fd, kJobRecord, "job", kVersion);
  if (!record) return fail(record.error());
  const Result<std::string> id = record->get("id");
  if (!id) return fail(id.error());
  const Result<std::string> nonce = record->get("nonce");
  if (!nonce) return fail(nonce.error());
  const Result<proc::Identity> supervisor = proc::load_identity(*record, "supervisor");
  if (!supervisor) return fail(supervisor.error());

  JobRecord job;
  job.id = *id;
  job.resubmission = static_cast<unsigned>(record->get_unsigned("resubmission").value_or(0U));
  job.nonce = *nonce;
  job.supervisor = *supervisor;
  job.report_path = record->find("report_path").value_or("");
  job.workdir_parent = record->find("workdir.parent");
  job.workdir_name = record->find("workdir.name").value_or("");
  job.workdir_made_as = record->find("workdir.made_as").value_or("");
  job.workdir_id = {record->get_unsigned("workdir.device").value_or(0U),
                    record->get_unsigned("workdir.inode").value_or(0U)};
  job.cgroup_place = record->find("cgroup.place");
  job.cgroup_name = record->find("cgroup.name").value_or("");
  job.gpu_root = record->find("gpu_root");
  job.argv = record->find_list("argv");
  return job;
}

Result<void> write(int job_dir_fd, const PayloadRecord& payload) {
  Record record("payload", kVersion);
  record.set("fence", payload.fence);
  store(record, "init", payload.init);
  store(record, "payload", payload.payload);
  if (payload.pid_namespace) record.set("pid_namespace", *payload.pid_namespace);
  if (payload.cgroup_path) record.set("cgroup_path", *payload.cgroup_path);
  if (payload.cgroup_inode != 0) record.set("cgroup_inode", payload.cgroup_inode);
  if (payload.ttl_deadline)
    record.set("ttl_deadline", static_cast<std::uint64_t>(*payload.ttl_deadline));
  if (!payload.lease_id.empty()) record.set("lease_id", payload.lease_id);
  return write_record(job_dir_fd, kPayloadRecord, record);
}

Result<PayloadRecord> read_payload_record(int job_dir_fd) {
  const Result<Record> record = read_record(job_dir_fd, kPayloadRecord, "payload", kVersion);
  if (!record) return fail(record.error());
  const Result<std::string> fence = record->get("fence");
  if (!fence) return fail(fence.error());
  const Result<proc::Identity> init = proc::load_identity(*record, "init");
  if (!init) return fail(init.error());
  const Result<proc::Identity> process = proc::load_identity(*record, "payload");
  if (!process) return fail(process.error());

  PayloadRecord payload;
  payload.fence = *fence;
  payload.init = *init;
  payload.payload = *process;
  if (record->find("pid_namespace"))
    payload.pid_namespace = record->get_unsigned("pid_namespace").value_or(0U);
  payload.cgroup_path = record->find("cgroup_path");
  payload.cgroup_inode = record->get_unsigned("cgroup_inode").value_or(0U);
  if (record->find("ttl_deadline"))
    payload.ttl_deadline = record->get_unsigned("ttl_deadline").value_or(0U);
  payload.lease_id = record->find("lease_id").value_or("");
  return payload;
}

Result<void> write(int job_dir_fd, const KillRecord& kill) {
  Record record("kill", kVersion);
  record.set("reason", kill.reason);
  record.set("by", kill.by);
  record.set("deadline", static_cast<std::uint64_t>(kill.deadline));
  record.set("stage", kill.stage);
  if (kill.asked_ticks) record.set("asked_ticks", *kill.asked_ticks);
  return write_record(job_dir_fd, kKillRecord, record);
}

Result<KillRecord> read_kill_record(int job_dir_fd) {
  const Result<Record> record = read_record(job_dir_fd, kKillRecord, "kill", kVersion);
  if (!record) return fail(record.error());
  const Result<std::string> reason = record->get("reason");
  if (!reason) return fail(reason.error());
  KillRecord kill{*reason, record->find("by").value_or(""),
                  static_cast<Usec>(record->get_unsigned("deadline").value_or(0U)),
                  record->find("stage").value_or("accepted"), std::nullopt};
  if (record->find("asked_ticks"))
    kill.asked_ticks = record->get_unsigned("asked_ticks").value_or(0U);
  return kill;
}

std::uint64_t ticks_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return static_cast<std::uint64_t>(now.tv_sec) * per_second +
         static_cast<std::uint64_t>(now.tv_nsec) * per_second / 1'000'000'000;
}

std::string mark_of(const std::string& nonce) { return std::string(kMarkVariable) + "=" + nonce; }

}  // namespace gpuctl::job
