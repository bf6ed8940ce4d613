#include "gpuctl/job/kill_job.hpp"

#include <unistd.h>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/job/control.hpp"
#include "gpuctl/job/finish.hpp"

namespace gpuctl::job {
namespace {

constexpr Usec kAnswerMargin =
    90 * kUsecPerSec;  // for the rounds of KILL and the clean-up behind the grace
constexpr Usec kListenMargin =
    10 * kUsecPerSec;  // a supervisor listens soon after it took the job's name
constexpr Usec kOtherwise = 60 * kUsecPerSec;  // a dead supervisor's ForcedKillTimeout is not known

Result<std::vector<kill::Spared>> spared_of(const KillRequest& request) {
  std::vector<kill::Spared> all;
  for (const std::string& text : request.spare) {
    Result<kill::Spared> spared = kill::parse_spared(text);
    if (!spared) return fail(spared.error());
    all.push_back(std::move(*spared));
  }
  return all;
}

Json words_for_supervisor(const KillRequest& request) {
  Json words = {{"do", "kill"}, {"by", request.by}};
  if (request.grace) words["grace_usec"] = static_cast<std::uint64_t>(*request.grace);
  if (!request.spare.empty()) words["spare"] = request.spare;
  return words;
}

// nullopt: nobody listens, though the job's lock is held. It is just starting, or just over.
Result<std::optional<JobKill>> ask_living(const JobDir& directory, const KillRequest& request) {
  const Usec wait = request.grace.value_or(kill::kMaxGrace) + kAnswerMargin;
  const Result<std::string> reply =
      ask_supervisor(directory.dir.get(), to_line(words_for_supervisor(request)), wait);
  if (!reply && reply.error().code == ErrorCode::vanished) return std::optional<JobKill>();
  if (!reply) return fail(reply.error());
  const Json json = Json::parse(*reply, nullptr, false);
  if (!json.is_object() || !json.contains("kill")) {
    return fail(ErrorCode::malformed, directory.path,
                "the supervisor's answer is not understood: " + printable(*reply));
  }
  return std::optional<JobKill>(JobKill{json["kill"], json.value("state", "") != "survivors", {}});
}

Result<JobKill> finish_dead(StateDir& state, JobDir directory, const KillRequest& request) {
  const Result<HostFs> fs = HostFs::open("/");
  if (!fs) return fail(fs.error());
  const Result<std::vector<kill::Spared>> spared = spared_of(request);
  if (!spared) return fail(spared.error());
  const Finished finished = finish_job(*fs, directory, request.grace.value_or(kOtherwise), *spared);
  JobKill done{kill::to_json(finished.kill), finished.gone, finished.problems};
  if (!finished.gone) return done;
  if (Result<void> removed = state.remove(std::move(directory)); !removed)
    done.problems.push_back(removed.error().message());
  return done;
}

// One try; nullopt: ask again.
Result<std::optional<JobKill>> try_kill(StateDir& state, const std::string& name,
                                        const KillRequest& request) {
  Result<JobDir> directory = state.open_job(name);
  if (!directory && directory.error().code == ErrorCode::not_found)
    return std::optional<JobKill>(JobKill{nullptr, true, {}});
  if (!directory) return fail(directory.error());
  if (!directory->is_ours()) return ask_living(*directory, request);
  Result<JobKill> done = finish_dead(state, std::move(*directory), request);
  if (!done) return fail(done.error());
  return std::optional<JobKill>(std::move(*done));
}

}  // namespace

Result<JobKill> kill_job(const std::optional<std::string>& state_dir, const JobName& name,
                         const KillRequest& request) {
  if (Result<std::vector<kill::Spared>> spared = spared_of(request); !spared)
    return fail(spared.error());
  Result<StateDir> state = StateDir::open(state_dir);
  if (!state) return fail(state.error());
  const Result<std::string> directory = name_of_job(*state, name);
  if (!directory) return fail(directory.error());
  for (const Usec until = monotonic_usec() + kListenMargin; monotonic_usec() < until;
       ::usleep(10'000)) {
    Result<std::optional<JobKill>> done = try_kill(*state, *directory, request);
    if (!done) return fail(done.error());
    if (*done) return std::move(**done);
  }
  return fail(ErrorCode::unavailable, "", "the job's supervisor is alive and does not listen");
}

}  // namespace gpuctl::job
