// `gpuctl fence-entry`: the part of the fence that is put up inside a container; then it becomes the payload.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "gpuctl/base/close_on_exec.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/fence/entry.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr int kNotStarted = 125;

Result<fence::Entry> make_entry(const Invocation& invocation) {
  fence::Entry entry;
  entry.own = invocation.all("own");
  for (const std::string& path : entry.own) {
    if (path.empty() || path.front() != '/')
      return fail(ErrorCode::usage, "",
                  "`--own " + printable(path) + "`: expected an absolute path");
  }
  for (const std::string& text : invocation.all("protect")) {
    const Result<std::uint64_t> pid = parse_unsigned(text, "`--protect`", 10, 4'194'304);
    if (!pid) return fail(ErrorCode::usage, "", pid.error().detail);
    entry.protected_pids.push_back(static_cast<pid_t>(*pid));
  }
  return entry;
}

Json to_json(const fence::Entered& entered) {
  return {
      {"schema", "gpuctl.fence/1"},
      {"device", name_of(entered.device)},
      {"proof",
       {{"holds", entered.proof.holds},
        {"opened", entered.proof.opened},
        {"refused", entered.proof.refused},
        {"failure", entered.proof.failure.empty() ? Json(nullptr) : Json(entered.proof.failure)}}},
      {"landlock", entered.restricted.landlock},
      {"scopes_signals", entered.restricted.scopes_signals},
      {"seccomp", entered.restricted.seccomp},
      {"notes", entered.restricted.notes}};
}

Result<void> write_proof(const std::optional<std::string>& path, const fence::Entered& entered) {
  if (!path) return {};
  const Result<Fd> file = open_at(AT_FDCWD, *path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
  if (!file) return fail(file.error());
  return write_all(file->get(), to_line(to_json(entered)) + "\n", *path);
}

// Why it may not start at this level, or empty.
std::string objection(const std::string& demand, const fence::Entry& entry,
                      const fence::Entered& entered) {
  const bool needs_proof = demand == "strict" || (demand == "best" && !entry.own.empty());
  if (!needs_proof || entered.proof.holds) return {};
  std::string words = "the fence does not hold: " + entered.proof.failure;
  for (const std::string& note : entered.restricted.notes) words += "; " + note;
  return words;
}

// A runtime's own descriptors, of the host's directories for one, are not the payload's (CVE-2024-21626 was such a one).
int exec(const std::vector<std::string>& command) {
  close_on_exec_all();
  std::vector<char*> argv;
  for (const std::string& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT: execvp's type
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int reason = errno;
  return complain(system_error(reason, command[0], "cannot execute"), reason == ENOENT ? 127 : 126);
}

}  // namespace

int run_fence_entry(const Context& context) {
  const std::vector<std::string>& command = context.invocation.operands;
  if (command.empty() || command[0].empty()) {
    complain("no command to run; see `gpuctl fence-entry --help`");
    return 2;
  }
  const Result<fence::Entry> entry = make_entry(context.invocation);
  if (!entry) return complain(entry.error(), 2);
  const Result<fence::Entered> entered = fence::enter_fence(*entry);
  if (!entered) return complain(entered.error(), kNotStarted);
  if (const Result<void> written = write_proof(context.invocation.last("proof"), *entered);
      !written)
    return complain(written.error(), kNotStarted);
  const std::string words = objection(*context.config.text("fence"), *entry, *entered);
  if (!words.empty()) {
    complain(words);
    return kNotStarted;
  }
  return exec(command);
}

}  // namespace gpuctl::app
