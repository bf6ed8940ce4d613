#include <unistd.h>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/job/control.hpp"
#include "gpuctl/job/finish.hpp"
#include "gpuctl/job/report.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr Usec kMaxGrace = 600 * kUsecPerSec;
constexpr Usec kAnswerMargin = 90 * kUsecPerSec;  // for the rounds of KILL and the clean-up behind the grace

// The one job that `--job` means: ID, or ID.RESUBMISSION where several are on record.
Result<std::string> name_of_job(const job::StateDir& state, const std::string& id, const std::string& resubmission) {
  const Result<std::vector<std::string>> jobs = state.jobs();
  if (!jobs) return fail(jobs.error());
  std::vector<std::string> found;
  for (const std::string& name : *jobs) {
    const std::size_t dot = name.rfind('.');
    if (name.substr(0, dot) == id && (resubmission.empty() || name.substr(dot + 1) == resubmission)) found.push_back(name);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) return fail(ErrorCode::not_found, "", "no job `" + id + "` of this user is on record below `" + state.path() + "`");
  std::string names;
  for (const std::string& each : found) names += " " + each;
  return fail(ErrorCode::usage, "", "several submissions of `" + id + "` are on record:" + names + "; choose with --resubmission");
}

Result<Usec> grace_of(const Context& context, Usec otherwise) {
  const std::optional<std::string> text = context.invocation.last("grace");
  if (!text) return otherwise;
  const Result<std::int64_t> grace = parse_duration_usec(*text, "`--grace`");
  if (!grace) return fail(grace.error());
  if (*grace > kMaxGrace) return fail(ErrorCode::usage, "", "`--grace`: at most 600s");
  return *grace;
}

int answer(const Context& context, const Json& kill, bool gone) {
  if (context.json) {
    Json json = {{"schema", "gpuctl.kill/1"}, {"kill", kill}};
    return print(to_text(json), gone ? 0 : 1);
  }
  std::string words = gone ? "ended" : "NOT ended: processes survived";
  if (kill.is_object()) {
    words += ", " + kill["signalled"].dump() + " processes got TERM, " + kill["killed"].dump() + " KILL";
    if (kill["proof"].is_string()) words += "; proof: " + kill["proof"].get<std::string>();
  }
  return print(words + "\n", gone ? 0 : 1);
}

int ask_living(const Context& context, const job::JobDir& directory) {
  const Result<Usec> grace = grace_of(context, -1);
  if (!grace) return complain(grace.error(), 2);
  Json request = {{"do", "kill"}, {"by", "pid " + std::to_string(::getpid()) + " of uid " + std::to_string(::geteuid())}};
  if (*grace >= 0) request["grace_usec"] = static_cast<std::uint64_t>(*grace);
  const Usec wait = (*grace >= 0 ? *grace : kMaxGrace) + kAnswerMargin;
  const Result<std::string> reply = job::ask_supervisor(directory.dir.get(), to_line(request), wait);
  if (!reply) return complain(reply.error(), 3);
  const Json json = Json::parse(*reply, nullptr, false);
  if (!json.is_object() || !json.contains("kill")) {
    complain("the supervisor's answer is not understood: " + printable(*reply));
    return 3;
  }
  return answer(context, json["kill"], json.value("state", "") != "survivors");
}

int finish_dead(const Context& context, job::StateDir& state, job::JobDir directory) {
  const Result<Usec> grace = grace_of(context, 60 * kUsecPerSec);
  if (!grace) return complain(grace.error(), 2);
  const Result<HostFs> fs = HostFs::open("/");
  if (!fs) return complain(fs.error(), 3);
  const job::Finished finished = job::finish_job(*fs, directory, *grace);
  for (const std::string& problem : finished.problems) complain(problem);
  if (finished.gone) {
    if (Result<void> removed = state.remove(std::move(directory)); !removed) complain(removed.error().message());
  }
  return answer(context, job::to_json(finished.kill), finished.gone);
}

}  // namespace

int run_kill(const Context& context) {
  const std::optional<std::string> given = context.invocation.last("job");
  if (!given || !context.invocation.operands.empty()) {
    complain("`kill` needs `--job ID` and nothing else; see `gpuctl kill --help`");
    return 2;
  }
  const Result<std::string> id = parse_job_id(*given);
  if (!id) return complain(id.error(), 2);
  Result<job::StateDir> state = job::StateDir::open(context.config.text("state_dir"));
  if (!state) return complain(state.error(), 3);
  const Result<std::string> name = name_of_job(*state, *id, context.invocation.last("resubmission").value_or(""));
  if (!name) return complain(name.error(), 2);
  Result<job::JobDir> directory = state->open_job(*name);
  if (!directory) return complain(directory.error(), 3);
  if (directory->is_ours()) return finish_dead(context, *state, std::move(*directory));
  return ask_living(context, *directory);
}

}  // namespace gpuctl::app
