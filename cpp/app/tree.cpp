// gpuctl tree: the processes of one process, cgroup or job.
#include "gpuctl/proc/tree.hpp"

#include <algorithm>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/job/tree.hpp"
#include "gpuctl/proc/json.hpp"
#include "tree_text.hpp"
#include "verbs.hpp"
#include "wanted_job.hpp"

namespace gpuctl::app {
namespace {

// What is asked for: `by` is "pid", "cgroup" or "job".
struct Question {
  std::string by;
  std::string value;
};

Result<Question> question_of(const Invocation& invocation) {
  std::vector<Question> asked;
  for (const std::string& operand : invocation.operands) asked.push_back({"pid", operand});
  for (const char* flag : {"cgroup", "job"}) {
    if (const std::optional<std::string> value = invocation.last(flag))
      asked.push_back({flag, *value});
  }
  if (asked.size() == 1) return asked.front();
  return fail(ErrorCode::usage, "",
              "`tree` needs one of PID, `--cgroup PATH` and `--job ID`; see `gpuctl tree --help`");
}

Result<proc::Tree> tree_of_pid(const HostFs& fs, const std::string& text) {
  const Result<std::uint64_t> pid = parse_unsigned(text, "PID", 10, 0x7fffffff);
  if (!pid || *pid == 0) {
    return fail(
        ErrorCode::usage, "",
        "`" + printable(text) + "` is not the number of a process: expected 1 to 2147483647");
  }
  return proc::tree_of_process(fs, static_cast<pid_t>(*pid));
}

Result<proc::Tree> tree_of_wanted_job(const Context& context, const HostFs& fs) {
  if (!fs.is_live())
    return fail(ErrorCode::usage, "", "`--job` is about this machine: leave `--root` out");
  const Result<WantedJob> wanted = wanted_job(context.invocation);
  if (!wanted) return fail(wanted.error());
  const std::optional<std::string> state_dir = context.config.text("state_dir");
  const Result<uid_t> owner = owner_of_job(state_dir, *wanted);
  if (!owner) return fail(owner.error());
  const Result<job::StateDir> state = job::StateDir::open_of(state_dir, *owner);
  if (!state && state.error().code == ErrorCode::not_found)
    return fail(
        ErrorCode::usage, "",
        "no job `" + wanted->id + "` is on record: uid " + std::to_string(*owner) + " has none");
  if (!state) return fail(state.error());
  const Result<std::string> name = name_of_job(*state, *wanted);
  if (!name) return fail(ErrorCode::usage, "", name.error().message());
  Result<job::JobDir> directory = state->open_job(*name);
  if (!directory) return fail(std::move(directory).error());
  directory->lock.reset();  // a look must not keep anybody from finishing a dead job
  return job::tree_of_job(fs, directory->dir.get(), job::uid_here(*owner));
}

Result<proc::Tree> read_tree(const Context& context, const HostFs& fs, const Question& question) {
  if (question.by == "pid") return tree_of_pid(fs, question.value);
  if (question.by == "cgroup") return proc::tree_of_cgroup(fs, question.value);
  return tree_of_wanted_job(context, fs);
}

bool is_absence(const Error& error) {
  return error.code == ErrorCode::not_found || error.code == ErrorCode::vanished;
}

bool is_wrong_call(const Error& error) {
  return error.code == ErrorCode::usage || error.code == ErrorCode::malformed;
}

bool wants_unicode(const Environment& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = to_lower(environment.find(name).value_or(""));
    if (!value.empty())
      return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

int answer(const Context& context, const Question& question, const proc::Tree& tree) {
  const int code = tree.members.empty() ? 1 : tree.problems.empty() ? 0 : 4;
  if (context.json) return print(to_text(proc::to_json(tree, question.by, question.value)), code);
  if (tree.members.empty()) {
    complain((question.by == "pid" ? "no process `" : "no process in " + question.by + " `") +
             printable(question.value) + "`");
    return code;
  }
  if (!context.quiet) {
    for (const Error& problem : tree.problems) complain(problem.message());
  }
  return print(tree_text(tree, wants_unicode(context.environment)), code);
}

}  // namespace

int run_tree(const Context& context) {
  const Result<Question> question = question_of(context.invocation);
  if (!question) return complain(question.error(), 2);
  const Result<HostFs> fs = context.open_root();
  if (!fs) return complain(fs.error(), 2);
  const Result<proc::Tree> tree = read_tree(context, *fs, *question);
  if (tree) return answer(context, *question, *tree);
  if (is_wrong_call(tree.error())) return complain(tree.error(), 2);
  if (is_absence(tree.error())) return answer(context, *question, proc::Tree());
  return complain(tree.error(), 3);
}

}  // namespace gpuctl::app
