#include "gpuctl/job/job_name.hpp"

#include <unistd.h>

#include <vector>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::job {
namespace {

std::vector<std::string> names_of(const StateDir& state, const JobName& wanted) {
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

Result<JobName> parse_job_name(const std::string& text,
                               const std::optional<std::string>& resubmission) {
  const std::size_t slash = text.find('/');
  JobName name;
  if (slash != std::string::npos) {
    const Result<std::uint64_t> uid =
        parse_unsigned(text.substr(0, slash), "`--job UID/ID`", 10, 0xfffffffe);
    if (!uid) return fail(uid.error());
    name.owner = static_cast<uid_t>(*uid);
  }
  Result<std::string> id = parse_job_id(slash == std::string::npos ? text : text.substr(slash + 1));
  if (!id) return fail(id.error());
  name.id = std::move(*id);
  if (!resubmission) return name;
  const Result<std::uint64_t> number =
      parse_unsigned(*resubmission, "`--resubmission`", 10, 1'000'000);
  if (!number) return fail(number.error());
  name.resubmission = std::to_string(*number);
  return name;
}

Result<std::string> name_of_job(const StateDir& state, const JobName& wanted) {
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

Result<uid_t> owner_of_job(const std::optional<std::string>& state_dir, const JobName& name) {
  const uid_t self = uid_on_node();
  if (name.owner) return *name.owner;
  if (self != 0) return self;
  std::vector<uid_t> owners;
  for (const uid_t uid : StateDir::owners(state_dir)) {
    const Result<StateDir> state = StateDir::open_of(state_dir, uid);
    if (!state || names_of(*state, name).empty()) continue;
    if (uid == self) return self;
    owners.push_back(uid);
  }
  if (owners.size() < 2) return owners.empty() ? self : owners.front();
  return fail(ErrorCode::usage, "",
              "several users have a job `" + name.id + "`: choose with --job UID/ID");
}

}  // namespace gpuctl::job
