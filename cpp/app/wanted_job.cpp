#include "wanted_job.hpp"

#include <unistd.h>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::app {
namespace {

std::vector<std::string> names_of(const job::StateDir& state, const WantedJob& wanted) {
  std::vector<std::string> found;
  for (const std::string& name : state.jobs().value_or(std::vector<std::string>())) {
    const std::size_t dot = name.rfind('.');
    const bool same_submission =
        wanted.resubmission.empty() || name.substr(dot + 1) == wanted.resubmission;
    if (name.substr(0, dot) == wanted.id && same_submission) found.push_back(name);
  }
  return found;
}

}  // namespace

Result<WantedJob> wanted_job(const Invocation& invocation) {
  const std::string text = *invocation.last("job");
  const std::size_t slash = text.find('/');
  WantedJob wanted;
  if (slash != std::string::npos) {
    const Result<std::uint64_t> uid =
        parse_unsigned(text.substr(0, slash), "`--job UID/ID`", 10, 0xfffffffe);
    if (!uid) return fail(uid.error());
    wanted.owner = static_cast<uid_t>(*uid);
  }
  Result<std::string> id = parse_job_id(slash == std::string::npos ? text : text.substr(slash + 1));
  if (!id) return fail(id.error());
  wanted.id = std::move(*id);
  if (const std::optional<std::string> given = invocation.last("resubmission")) {
    const Result<std::uint64_t> number = parse_unsigned(*given, "`--resubmission`", 10, 1'000'000);
    if (!number) return fail(number.error());
    wanted.resubmission = std::to_string(*number);
  }
  return wanted;
}

Result<std::string> name_of_job(const job::StateDir& state, const WantedJob& wanted) {
  const std::vector<std::string> found = names_of(state, wanted);
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return fail(
        ErrorCode::not_found, "",
        "no job `" + wanted.id + "` of this user is on record below `" + state.path() + "`");
  }
  std::string names;
  for (const std::string& each : found) names += " " + each;
  return fail(ErrorCode::usage, "",
              "several submissions of `" + wanted.id + "` are on record:" + names +
                  "; choose with --resubmission");
}

Result<uid_t> owner_of_job(const std::optional<std::string>& state_dir, const WantedJob& wanted) {
  const uid_t self = ::geteuid();
  if (wanted.owner) return *wanted.owner;
  if (self != 0) return self;
  std::vector<uid_t> owners;
  for (const uid_t uid : job::StateDir::owners(state_dir)) {
    const Result<job::StateDir> state = job::StateDir::open_of(state_dir, uid);
    if (!state || names_of(*state, wanted).empty()) continue;
    if (uid == self) return self;
    owners.push_back(uid);
  }
  if (owners.size() < 2) return owners.empty() ? self : owners.front();
  return fail(ErrorCode::usage, "",
              "several users have a job `" + wanted.id + "`: choose with --job UID/ID");
}

}  // namespace gpuctl::app
