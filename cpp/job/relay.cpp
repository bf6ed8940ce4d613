#include "relay.hpp"

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

}  // namespace

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

std::optional<int> relay_to_fresh_process() {
  const pid_t pid = ::fork();
  if (pid == 0) return std::nullopt;
  if (pid < 0) return 125;
  fresh_process = pid;
  struct sigaction action {};
  action.sa_handler = pass_on;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(number, &action, nullptr);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace gpuctl::job
