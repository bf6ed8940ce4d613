#include "gpuctl/job/report.hpp"

#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "gpuctl/base/json.hpp"

namespace gpuctl::job {
namespace {

const char* name_of(State state) {
  switch (state) {
    case State::never_started: return "never_started";
    case State::done: return "done";
    case State::survivors: return "survivors";
  }
  return "done";
}

Json time_or_null(const std::optional<Usec>& at) {
  return at ? Json(format_rfc3339(*at)) : Json(nullptr);
}

// "SIGTERM"; real-time signals have only a number.
std::optional<std::string> signal_name(int number) {
  static const std::pair<int, const char*> names[] = {
      {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},
      {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
      {SIGKILL, "SIGKILL"}, {SIGUSR1, "SIGUSR1"}, {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"},
      {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"}, {SIGXCPU, "SIGXCPU"},
      {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"}};
  for (const auto& [value, name] : names) {
    if (value == number) return name;
  }
  return std::nullopt;
}

Json exit_json(const Report& report) {
  Json exit = {
      {"code", nullptr}, {"signal", nullptr}, {"signal_name", nullptr}, {"core_dumped", false}};
  if (report.wait_status && WIFEXITED(*report.wait_status))
    exit["code"] = WEXITSTATUS(*report.wait_status);
  if (report.wait_status && WIFSIGNALED(*report.wait_status)) {
    exit["signal"] = WTERMSIG(*report.wait_status);
    exit["signal_name"] = json_or_null(signal_name(WTERMSIG(*report.wait_status)));
    exit["core_dumped"] = WCOREDUMP(*report.wait_status) != 0;
  }
  exit["gpuctl_exit_code"] = report.exit_code;
  return exit;
}

Json kill_reason_json(const Report& report) {
  const KillReason& reason =
      report.kill_reason != nullptr ? *report.kill_reason : kill_reason("OK");
  Json detail = Json::object();
  if (!report.kill_detail.empty()) detail["text"] = report.kill_detail;
  return {{"code", reason.code},
          {"name", reason.name},
          {"jalien_code", reason.jalien_code},
          {"detail", detail}};
}

Json fence_json(const FenceReport& fence) {
  return {{"demanded", json_or_null(fence.demanded)},
          {"process", json_or_null(fence.process)},
          {"device", fence.device},
          {"proof",
           {{"holds", fence.proof.holds},
            {"opened", fence.proof.opened},
            {"refused", fence.proof.refused},
            {"failure", fence.proof.failure.empty() ? Json(nullptr) : Json(fence.proof.failure)}}},
          {"landlock", fence.landlock},
          {"seccomp", fence.seccomp},
          {"signals_kept_in", fence.signals_kept_in},
          {"withheld", fence.withheld},
          {"notes", fence.notes}};
}

Json cgroup_json(const std::optional<CgroupReport>& group) {
  if (!group) return nullptr;
  return {{"path", group->path},
          {"version", group->version},
          {"own", group->own},
          {"scope", group->scope.empty() ? Json(nullptr) : Json(group->scope)},
          {"controllers", group->controllers},
          {"memory_limit_bytes", json_or_null(group->memory_limit_bytes)},
          {"memory_peak_bytes", json_or_null(group->memory_peak_bytes)},
          {"usage", group->usage ? *group->usage : Json(nullptr)},
          {"notes", group->notes}};
}

Json victim_json(const std::optional<cgroup::OomVictim>& victim) {
  if (!victim) return nullptr;
  return {{"pid", victim->pid}, {"name", victim->name}, {"cgroup", victim->group}};
}

Json oom_json(const std::optional<cgroup::OomVerdict>& verdict) {
  if (!verdict) return nullptr;
  return {{"level", cgroup::name_of(verdict->level)},
          {"kills", json_or_null(verdict->kills)},
          {"limit_path", verdict->limit_path.empty() ? Json(nullptr) : Json(verdict->limit_path)},
          {"certain", verdict->certain},
          {"whole_group", verdict->whole_group},
          {"victim", victim_json(verdict->victim)}};
}

Json timeline_json(const std::vector<TimelineEntry>& timeline) {
  Json list = Json::array();
  for (const TimelineEntry& each : timeline)
    list.push_back({{"at", format_rfc3339(each.at)}, {"event", each.event}});
  return list;
}

Json trace_json(const std::vector<TraceLine>& trace) {
  Json list = Json::array();
  for (const TraceLine& each : trace) {
    list.push_back({{"at", format_rfc3339(each.at)},
                    {"level", gpuctl::name_of(each.level)},
                    {"text", each.text}});
  }
  return list;
}

void add_usage(Json& json, const Usage& usage) {
  json["cpu_user_usec"] = json_or_null(usage.cpu_user_usec);
  json["cpu_system_usec"] = json_or_null(usage.cpu_system_usec);
  json["memory_peak_bytes"] = json_or_null(usage.memory_peak_bytes);
  json["memory_peak_source"] =
      usage.memory_source.empty() ? Json(nullptr) : Json(usage.memory_source);
}

void add_places(Json& json, const Report& report) {
  json["workdir"] = json_or_null(report.workdir);
  json["output_dir"] = json_or_null(report.output_dir);
  json["kept"] = report.kept;
  json["cleaned"] = report.cleaned;
  json["left"] = report.left;
  json["problems"] = report.problems;
}

}  // namespace

Json to_json(const Report& report) {
  Json json = {{"schema", "gpuctl.run/1"}};
  json["job"] = {{"id", report.id}, {"resubmission", report.resubmission}, {"nonce", report.nonce}};
  json["command"] = report.command;
  json["node"] = {{"hostname", report.hostname}, {"boot_id", report.boot_id}};
  json["state"] = name_of(report.state);
  json["started_at"] = time_or_null(report.started_at);
  json["ended_at"] = format_rfc3339(report.ended_at);
  json["exit"] = exit_json(report);
  json["kill_reason"] = kill_reason_json(report);
  json["wall_usec"] = report.wall_usec;
  add_usage(json, report.usage);
  json["gpus"] = Json::parse(report.gpus_json);
  json["lease_id"] = report.lease_id.empty() ? Json(nullptr) : Json(report.lease_id);
  json["cgroup"] = cgroup_json(report.cgroup);
  json["oom"] = oom_json(report.oom);
  json["fence"] = fence_json(report.fence);
  json["kill"] = report.kill ? kill::to_json(*report.kill) : Json(nullptr);
  json["batch"] = {{"slurm_job_id", json_or_null(report.batch.slurm_job_id)},
                   {"htcondor_global_job_id", json_or_null(report.batch.htcondor_global_job_id)}};
  add_places(json, report);
  json["timeline"] = timeline_json(report.timeline);
  json["trace"] = trace_json(report.trace);
  return json;
}

}  // namespace gpuctl::job
