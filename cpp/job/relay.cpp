#include "relay.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace gpuctl::job {
namespace {

volatile sig_atomic_t fresh_process = 0;

void pass_on(int number) {
  // Our own child, which only this process reaps: the number is its.
  if (fresh_process > 0) ::kill(static_cast<pid_t>(fresh_process), number);
}

// As in the supervisor itself: what a terminal sends stays ignored where the caller ignores it (nohup, background jobs
// of a shell); TERM is how a job is ended, and some starters leave it ignored (unshare(1) of util-linux 2.36).
sigset_t relayed_signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2}) ::sigaddset(&wanted, number);
  for (const int number : {SIGINT, SIGHUP}) {
    struct sigaction now{};
    ::sigaction(number, nullptr, &now);
    if (now.sa_handler != SIG_IGN) ::sigaddset(&wanted, number);
  }
  return wanted;
}

void install_handlers(const sigset_t& wanted) {
  struct sigaction action{};
  action.sa_handler = pass_on;
  for (int number = 1; number < NSIG; ++number) {
    if (::sigismember(&wanted, number) == 1) ::sigaction(number, &action, nullptr);
  }
}

}  // namespace

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

std::optional<int> relay_to_fresh_process(bool die_with_parent) {
  // Nothing may get lost between the fork and the handlers.
  const sigset_t relayed = relayed_signals();
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &relayed, &before);
  ::signal(SIGCHLD, SIG_DFL);  // where it was ignored, the exit status would be thrown away
  const pid_t pid = ::fork();
  if (pid == 0) ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid == 0) return std::nullopt;
  if (pid < 0) return 125;
  fresh_process = pid;
  install_handlers(relayed);
  if (die_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::sigprocmask(SIG_UNBLOCK, &relayed, nullptr);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 125;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace gpuctl::job
