#include <grp.h>
#include <unistd.h>

#include <cerrno>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/job/control.hpp"
#include "gpuctl/job/finish.hpp"
#include "gpuctl/job/report.hpp"
#include "verbs.hpp"
#include "wanted_job.hpp"

namespace gpuctl::app {
namespace {

constexpr Usec kMaxGrace = 600 * kUsecPerSec;
constexpr Usec kAnswerMargin =
    90 * kUsecPerSec;  // for the rounds of KILL and the clean-up behind the grace
constexpr Usec kListenMargin =
    10 * kUsecPerSec;  // a supervisor listens soon after it took the job's name

// Root ends a user's job as that user: what the user's records name (processes, directories, a place for the report) is
// then reached with the user's rights and no more.
Result<void> become(uid_t owner, const std::optional<std::string>& state_dir) {
  if (owner == ::geteuid()) return {};
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
    words +=
        ", " + kill["signalled"].dump() + " processes got TERM, " + kill["killed"].dump() + " KILL";
    if (kill["proof"].is_string()) words += "; proof: " + kill["proof"].get<std::string>();
  }
  return print(words + "\n", gone ? 0 : 1);
}

// nullopt: nobody listens, though the job's lock is held. It is just starting, or just over.
std::optional<int> ask_living(const Context& context, const job::JobDir& directory,
                              const std::string& by) {
  const Result<Usec> grace = grace_of(context, -1);
  if (!grace) return complain(grace.error(), 2);
  Json request = {{"do", "kill"}, {"by", by}};
  if (*grace >= 0) request["grace_usec"] = static_cast<std::uint64_t>(*grace);
  const Usec wait = (*grace >= 0 ? *grace : kMaxGrace) + kAnswerMargin;
  const Result<std::string> reply =
      job::ask_supervisor(directory.dir.get(), to_line(request), wait);
  if (!reply && reply.error().code == ErrorCode::vanished) return std::nullopt;
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
    if (Result<void> removed = state.remove(std::move(directory)); !removed)
      complain(removed.error().message());
  }
  return answer(context, job::to_json(finished.kill), finished.gone);
}

// One try; nullopt: ask again.
std::optional<int> try_kill(const Context& context, job::StateDir& state, const std::string& name,
                            const std::string& by) {
  Result<job::JobDir> directory = state.open_job(name);
  if (!directory && directory.error().code == ErrorCode::not_found)
    return answer(context, nullptr, true);
  if (!directory) return complain(directory.error(), 3);
  if (directory->is_ours()) return finish_dead(context, state, std::move(*directory));
  return ask_living(context, *directory, by);
}

}  // namespace

int run_kill(const Context& context) {
  if (!context.invocation.has("job") || !context.invocation.operands.empty()) {
    complain("`kill` needs `--job ID` and nothing else; see `gpuctl kill --help`");
    return 2;
  }
  const Result<WantedJob> wanted = wanted_job(context.invocation);
  if (!wanted) return complain(wanted.error(), 2);
  if (const Result<Usec> grace = grace_of(context, 0); !grace) return complain(grace.error(), 2);
  const std::string by =
      "pid " + std::to_string(::getpid()) + " of uid " + std::to_string(::geteuid());
  const std::optional<std::string> state_dir = context.config.text("state_dir");
  const Result<uid_t> owner = owner_of_job(state_dir, *wanted);
  if (!owner) return complain(owner.error(), 2);
  if (const Result<void> became = become(*owner, state_dir); !became)
    return complain(became.error(), 2);
  Result<job::StateDir> state = job::StateDir::open(state_dir);
  if (!state) return complain(state.error(), 3);
  const Result<std::string> name = name_of_job(*state, *wanted);
  if (!name) return complain(name.error(), 2);
  for (const Usec until = monotonic_usec() + kListenMargin; monotonic_usec() < until;
       ::usleep(10'000)) {
    if (const std::optional<int> done = try_kill(context, *state, *name, by)) return *done;
  }
  complain("the job's supervisor is alive and does not listen");
  return 3;
}

}  // namespace gpuctl::app
