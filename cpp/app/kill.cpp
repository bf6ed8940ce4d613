#include "gpuctl/kill/kill.hpp"

#include <grp.h>
#include <unistd.h>

#include <cerrno>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/job/kill_job.hpp"
#include "verbs.hpp"
#include "wanted_job.hpp"

namespace gpuctl::app {
namespace {

constexpr int kNothingDone = 2;
constexpr int kUnknown = 3;

// A wrong call, or one that names nothing: nothing was signalled. Anything else leaves the answer open.
int exit_code_for(const Error& error) {
  switch (error.code) {
    case ErrorCode::usage:
    case ErrorCode::not_found:
    case ErrorCode::permission: return kNothingDone;
    default: return kUnknown;
  }
}

// Root ends a user's job as that user: what the user's records name (processes, directories, a place for the report) is
// then reached with the user's rights and no more.
Result<void> become(uid_t owner, const std::optional<std::string>& state_dir) {
  if (owner == job::uid_on_node()) return {};
  if (::geteuid() != 0) {
    return fail(ErrorCode::usage, "",
                "a job of uid " + std::to_string(owner) + " can be ended by that user or by root");
  }
  const Result<job::StateDir> state = job::StateDir::open_of(state_dir, owner);
  if (!state) return fail(state.error());
  const Result<gid_t> group = state->owner_group();
  if (!group) return fail(group.error());
  if (::setgroups(0, nullptr) != 0 || ::setresgid(*group, *group, *group) != 0 ||
      ::setresuid(owner, owner, owner) != 0) {
    return fail_errno(errno, "", "cannot act as uid " + std::to_string(owner));
  }
  return {};
}

Result<std::optional<Usec>> grace_of(const Invocation& invocation) {
  const std::optional<std::string> text = invocation.last("grace");
  if (!text) return std::optional<Usec>();
  const Result<std::int64_t> grace = parse_duration_usec(*text, "`--grace`");
  if (!grace) return fail(grace.error());
  if (*grace > kill::kMaxGrace) return fail(ErrorCode::usage, "", "`--grace`: at most 600s");
  return std::optional<Usec>(*grace);
}

Result<kill::Order> order_of(const Invocation& invocation) {
  const Result<std::optional<Usec>> grace = grace_of(invocation);
  if (!grace) return fail(grace.error());
  kill::Order order;
  order.grace = grace->value_or(order.grace);
  for (const std::string& text : invocation.all("spare")) {
    Result<kill::Spared> spared = kill::parse_spared(text);
    if (!spared) return fail(ErrorCode::usage, "", "`--spare`: " + spared.error().detail);
    order.spared.push_back(std::move(*spared));
  }
  return order;
}

std::string words_for(const Json& survivor) {
  return "pid " + survivor["pid"].dump() + " `" + printable(survivor["name"].get<std::string>()) +
         "`, state " + survivor["state"].get<std::string>() + ", waits in `" +
         printable(survivor["wchan"].get<std::string>()) + "`";
}

// What became of each process that is not simply gone.
void tell_exceptions(const Json& kill) {
  for (const Json& each : kill["survivors"]) complain("unkillable: " + words_for(each));
  for (const Json& each : kill["refused"]) {
    complain("refused: pid " + each["pid"].dump() + " `" +
             printable(each["name"].get<std::string>()) +
             "`: " + each["reason"].get<std::string>());
  }
}

int answer(const Context& context, const Json& kill, bool gone) {
  if (kill.is_object()) tell_exceptions(kill);
  if (context.json) {
    const Json json = {{"schema", "gpuctl.kill/1"}, {"kill", kill}};
    return print(to_text(json), gone ? 0 : 1);
  }
  std::string words = gone ? "ended" : "NOT ended: processes survived";
  if (kill.is_object()) {
    words +=
        ", " + kill["signalled"].dump() + " processes got TERM, " + kill["killed"].dump() + " KILL";
    if (const auto unreaped = kill.value("unreaped", 0U); unreaped > 0)
      words += ", " + std::to_string(unreaped) + " had ended and were not reaped";
    if (kill["proof"].is_string()) words += "; proof: " + kill["proof"].get<std::string>();
  }
  return print(words + "\n", gone ? 0 : 1);
}

// The supervisor reads grace and spares itself: they are handed on as they were typed.
int end_job(const Context& context, const kill::Order&) {
  const Invocation& invocation = context.invocation;
  const Result<WantedJob> name = wanted_job(invocation);
  if (!name) return complain(name.error(), kNothingDone);
  job::KillRequest request;
  request.by = "pid " + std::to_string(::getpid()) + " of uid " + std::to_string(::geteuid());
  request.grace = *grace_of(invocation);
  request.spare = invocation.all("spare");
  const std::optional<std::string> state_dir = context.config.text("state_dir");
  const Result<uid_t> owner = owner_of_job(state_dir, *name);
  if (!owner) return complain(owner.error(), kNothingDone);
  if (const Result<void> became = become(*owner, state_dir); !became)
    return complain(became.error(), kNothingDone);
  const Result<job::JobKill> done = job::kill_job(state_dir, *name, request);
  if (!done) return complain(done.error(), exit_code_for(done.error()));
  for (const std::string& problem : done->problems) complain(problem);
  return answer(context, done->kill, done->gone);
}

int answer_report(const Context& context, const Result<kill::Report>& report) {
  if (!report) return complain(report.error(), exit_code_for(report.error()));
  return answer(context, kill::to_json(*report), !report->proof.empty());
}

int end_pid(const Context& context, const kill::Order& order) {
  const Result<std::int64_t> pid = parse_signed(*context.invocation.last("pid"), "`--pid`");
  if (!pid) return complain(pid.error(), kNothingDone);
  const Result<HostFs> fs = HostFs::open("/");
  if (!fs) return complain(fs.error(), kUnknown);
  return answer_report(context, kill::end_process(*fs, *pid, order));
}

int end_cgroup(const Context& context, const kill::Order& order) {
  const Result<HostFs> fs = HostFs::open("/");
  if (!fs) return complain(fs.error(), kUnknown);
  return answer_report(context, kill::end_cgroup(*fs, *context.invocation.last("cgroup"), order));
}

struct Way {
  const char* flag;
  int (*end)(const Context&, const kill::Order&);
};
constexpr Way kWays[] = {{"pid", end_pid}, {"cgroup", end_cgroup}, {"job", end_job}};

// The one that was asked for; nullptr unless it is exactly one.
const Way* way_of(const Invocation& invocation) {
  const Way* chosen = nullptr;
  for (const Way& each : kWays) {
    if (!invocation.has(each.flag)) continue;
    if (chosen != nullptr || invocation.all(each.flag).size() > 1) return nullptr;
    chosen = &each;
  }
  return chosen;
}

}  // namespace

int run_kill(const Context& context) {
  const Way* way = way_of(context.invocation);
  if (way == nullptr || !context.invocation.operands.empty()) {
    complain(
        "`kill` needs one of `--pid PID`, `--cgroup PATH`, `--job ID`; see `gpuctl kill --help`");
    return kNothingDone;
  }
  if (context.invocation.has("resubmission") && std::string(way->flag) != "job") {
    complain("`--resubmission` goes with `--job`");
    return kNothingDone;
  }
  const Result<kill::Order> order = order_of(context.invocation);
  if (!order) return complain(order.error(), kNothingDone);
  return way->end(context, *order);
}

}  // namespace gpuctl::app
