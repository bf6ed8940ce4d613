// `gpuctl container-init`: process 1 of a container whose runtime brings none of its own (Podman without catatonit).
//
// Process 1 has no default reactions: a TERM that it does not catch is lost, and who dies without a parent is its to reap
// (pid_namespaces(7)). So the payload is its child, gets every signal that comes here, and its end is ours: the kernel then
// ends whatever is left.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <vector>

#include "verbs.hpp"

namespace gpuctl::app {
namespace {

[[noreturn]] void become(const std::vector<std::string>& command, const sigset_t& mask) {
  std::vector<char*> argv;
  for (const std::string& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT: execvp's type
  argv.push_back(nullptr);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execvp(argv[0], argv.data());
  const int reason = errno;
  complain(system_error(reason, command[0], "cannot execute"), 0);
  ::_exit(reason == ENOENT ? 127 : 126);
}

// Everybody who ended; the exit code of `child` once it is among them, else -1.
int reap(pid_t child) {
  int code = -1;
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == child) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return code;
}

int wait_for(pid_t child, const sigset_t& all) {
  while (true) {
    const int number = ::sigwaitinfo(&all, nullptr);
    if (number == SIGCHLD) {
      if (const int code = reap(child); code >= 0) return code;
    } else if (number > 0) {
      ::kill(child, number);
    }
  }
}

}  // namespace

int run_container_init(const Context& context) {
  const std::vector<std::string>& command = context.invocation.operands;
  if (command.empty() || command[0].empty()) {
    complain("no command to run; see `gpuctl container-init --help`");
    return 2;
  }
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);  // before the child, whose end must not be missed
  const pid_t child = ::fork();
  if (child < 0) return complain(system_error(errno, command[0], "cannot fork"), 125);
  if (child == 0) become(command, before);
  return wait_for(child, all);
}

}  // namespace gpuctl::app
