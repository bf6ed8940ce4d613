#include "gpuctl/job/finish.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "gpuctl/base/json.hpp"
#include "gpuctl/cgroup/delegation.hpp"
#include "gpuctl/job/report.hpp"
#include "gpuctl/job/workdir.hpp"
#include "gpus.hpp"
#include "recorded.hpp"
#include "report_file.hpp"

namespace gpuctl::job {
namespace {

constexpr std::size_t kMaxReportBytes = std::size_t{64} << 20;
constexpr time_t kReportKeptSeconds = 86400;  // a day
constexpr Usec kStartGrace =
    2 * kUsecPerSec;  // a start of another job does not wait longer for a dead one

// What the supervisor had done before it died is not done again.
Usec go_on_with(const JobDir& directory, Recorded& target, kill::Signaller& signaller, Usec grace) {
  const Result<KillRecord> begun = read_kill_record(directory.dir.get());
  if (!begun) return grace;
  if (begun->asked_ticks) {
    for (const proc::Stat& each : target.members(kill::Target::Why::ask)) {
      if (each.start_ticks < *begun->asked_ticks) signaller.note(each, SIGTERM);
    }
  }
  return std::clamp<Usec>(begun->deadline - monotonic_usec(), 0, grace);
}

kill::Report end_members(const HostFs& fs, const JobDir& directory, const JobRecord& job,
                         Recorded& target, Usec grace, const std::vector<kill::Spared>& spared) {
  kill::Signaller signaller(fs, proc::shown_ticks(job.supervisor));
  kill::Engine engine(fs, signaller, target, spared);
  kill::Schedule schedule;
  schedule.begin(SIGTERM, go_on_with(directory, target, signaller, grace), monotonic_usec());
  return kill::run_to_end(engine, schedule);
}

Report report_of(const JobRecord& job, const JobDir& directory, const kill::Report& kill) {
  Report report;
  report.id = job.id;
  report.resubmission = job.resubmission;
  report.nonce = job.nonce;
  report.command = job.argv;
  report.hostname = hostname();
  report.boot_id = job.supervisor.boot_id;
  report.state = kill.proof.empty() ? State::survivors : State::done;
  report.ended_at = realtime_usec();
  report.exit_code = 3;  // what the payload's status was, nobody knows any more
  const Result<KillRecord> asked = read_kill_record(directory.dir.get());
  const KillReason* reason = asked ? find_kill_reason(asked->reason) : nullptr;
  report.kill_reason = reason != nullptr ? reason : &kill_reason("KILLED");
  report.kill_detail = "its supervisor died; finished by its records";
  report.kill = kill;
  if (const auto payload = read_payload_record(directory.dir.get()); payload)
    report.lease_id = payload->lease_id;
  report.problems.emplace_back(
      "the supervisor died before the job was over: exit status and usage are unknown");
  return report;
}

void clean_workdir(const JobRecord& job, Report& report) {
  if (!job.workdir_parent) return;
  const std::string path = *job.workdir_parent + "/" + job.workdir_name;
  report.workdir = path;
  const Result<void> removed =
      remove_workdir(*job.workdir_parent, job.workdir_name, job.workdir_made_as, job.workdir_id);
  if (removed || removed.error().code == ErrorCode::not_found) {
    report.cleaned.push_back(path);
  } else {
    report.left.push_back(path + ": " + removed.error().message());
  }
}

std::optional<PayloadRecord> find_payload_record(int dir_fd) {
  Result<PayloadRecord> payload = read_payload_record(dir_fd);
  return payload ? std::optional<PayloadRecord>(std::move(*payload)) : std::nullopt;
}

// Its own group, which holds nobody any more; of a crash before it was recorded only the name is known, which bears the
// nonce.
void clean_group(const HostFs& fs, const JobRecord& job, const JobDir& directory, Report& report) {
  if (!job.cgroup_place) return;
  const std::optional<PayloadRecord> payload = find_payload_record(directory.dir.get());
  const Result<cgroup::Place> place = cgroup::open_place(fs, *job.cgroup_place);
  if (!place) return;  // gone with its slot
  const Result<void> removed =
      cgroup::remove_group(*place, job.cgroup_name, payload ? payload->cgroup_inode : 0);
  if (!removed) report.left.push_back(job.cgroup_name + ": " + removed.error().message());
}

bool is_older_than(int dir_fd, const char* name, time_t seconds) {
  struct stat status{};
  return ::fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_mtime + seconds < ::time(nullptr);
}

bool has_report(int dir_fd) {
  return ::faccessat(dir_fd, kReportFile, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// Hands the report of a job to whom it was promised; true when that was done.
bool deliver(const JobRecord& job, const std::string& text, std::vector<std::string>& problems) {
  if (job.report_path.empty()) return false;
  const Result<void> written = write_report_file(job.report_path, text);
  if (!written) problems.push_back(written.error().message());
  return written.has_value();
}

// The job was over and reported when its supervisor died, or its report found no reader, or survivors have ended since.
Finished already_over(const HostFs& fs, const JobDir& directory, const JobRecord& job) {
  Finished finished;
  finished.gone = true;
  finished.kill.method = "already over";
  finished.kill.proof = "identities";
  Report unused;
  clean_workdir(job, unused);
  clean_group(fs, job, directory, unused);
  if (auto kept = release_gpus_of(directory, job)) finished.problems.push_back(*kept);
  const Result<Fd> fd = open_at(directory.dir.get(), kReportFile, O_RDONLY | O_NOFOLLOW);
  const Result<std::string> text =
      fd ? read_all(fd->get(), kMaxReportBytes, kReportFile) : fail(fd.error());
  if (text) finished.delivered = deliver(job, *text, finished.problems);
  return finished;
}

// Why nothing can be said about the job's processes from here, or empty.
std::string cannot_judge(const proc::Here& here, const JobRecord& job) {
  if (here.boot_id != job.supervisor.boot_id || here.pid_namespace == job.supervisor.pid_namespace)
    return {};
  if (here.pid_namespace == proc::kInitialPidNamespace)
    return {};  // all processes of the node are visible from there
  return "it ran in another pid namespace (" + std::to_string(job.supervisor.pid_namespace) +
         "), whose processes cannot be seen from here: end it from there or from the node itself";
}

// nullopt: its processes went with another boot.
Finished report_end(const HostFs& fs, const JobDir& directory, const JobRecord& job,
                    std::optional<kill::Report> kill) {
  Finished finished;
  if (kill) {
    finished.kill = *kill;
  } else {
    finished.kill.method = "another boot";
    finished.kill.proof = "identities";
  }
  finished.gone = !finished.kill.proof.empty();

  Report report = report_of(job, directory, finished.kill);
  if (finished.gone) {
    clean_workdir(job, report);
    if (kill) clean_group(fs, job, directory, report);
  }
  if (auto kept = release_gpus_of(directory, job)) report.problems.push_back(*kept);
  const std::string text = to_text(to_json(report));
  if (const Result<void> written = replace_file(directory.dir.get(), kReportFile, text); !written) {
    finished.problems.push_back(written.error().message());
  }
  finished.delivered = deliver(job, text, finished.problems);
  return finished;
}

std::string finish_one(const HostFs& fs, StateDir& state, JobDir job) {
  const std::string name = job.name;
  const Finished finished = finish_job(fs, job, kStartGrace);
  if (!finished.gone) {
    const std::string why =
        finished.problems.empty() ? "processes survived" : finished.problems.front();
    return "job `" + name + "` of a dead supervisor could not be finished: " + why;
  }
  // Whoever wants to know what became of a job without a place for its report has a day to ask.
  const bool unread =
      has_report(job.dir.get()) && !is_older_than(job.dir.get(), kReportFile, kReportKeptSeconds);
  if (finished.delivered || !unread) {
    if (const Result<void> removed = state.remove(std::move(job)); !removed)
      return removed.error().message();
  }
  if (!finished.was_running) return {};
  return "finished job `" + name +
         "`, whose supervisor had died: " + std::to_string(finished.kill.killed) +
         " processes were still there";
}

}  // namespace

Finished finish_job(const HostFs& fs, const JobDir& directory, Usec grace,
                    const std::vector<kill::Spared>& spared) {
  Finished finished;
  const Result<JobRecord> job = read_job_record(directory.dir.get());
  if (!job) {
    // Without its record nothing of it was started: the record comes first.
    finished.gone = job.error().code == ErrorCode::not_found;
    if (!finished.gone) finished.problems.push_back(job.error().message());
    return finished;
  }
  const Result<proc::Here> here = proc::read_here(fs);
  const std::string obstacle = here ? cannot_judge(*here, *job) : here.error().message();
  if (!obstacle.empty()) {
    finished.problems.push_back(obstacle);
    return finished;
  }
  Recorded target(fs, *job, find_payload_record(directory.dir.get()));
  const bool same_boot = here->boot_id == job->supervisor.boot_id;
  if (has_report(directory.dir.get()) &&
      (!same_boot || target.members(kill::Target::Why::ask).empty()))
    return already_over(fs, directory, *job);
  std::optional<kill::Report> kill;
  if (same_boot) kill = end_members(fs, directory, *job, target, grace, spared);
  finished = report_end(fs, directory, *job, std::move(kill));
  finished.was_running = true;
  return finished;
}

std::vector<std::string> finish_dead_jobs(const HostFs& fs, StateDir& state) {
  state.sweep();
  std::vector<std::string> words;
  for (const std::string& name : state.jobs().value_or(std::vector<std::string>())) {
    Result<JobDir> job = state.open_job(name);
    if (!job || !job->is_ours()) continue;
    std::string told = finish_one(fs, state, std::move(*job));
    if (!told.empty()) words.push_back(std::move(told));
  }
  return words;
}

}  // namespace gpuctl::job
