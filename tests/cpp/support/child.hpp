// Child: a process of the test's own, killed and reaped at the end. It runs `body` and exits 0, or sleeps.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <utility>

namespace gpuctl::testing {

class Child {
 public:
  // Returns once the child runs `body`'s first line; `body` defaults to waiting for a signal.
  explicit Child(const std::function<void()>& body = [] { ::pause(); }) {
    int ready[2];
    if (::pipe(ready) != 0) ::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      // doctest's own handlers would report the signals that are sent on purpose
      for (const int number : {SIGTERM, SIGINT, SIGABRT, SIGSEGV}) ::signal(number, SIG_DFL);
      ::alarm(60);
      ::close(ready[0]);
      if (::write(ready[1], "x", 1) != 1) ::_exit(99);
      body();
      ::_exit(0);
    }
    ::close(ready[1]);
    char byte = 0;
    if (::read(ready[0], &byte, 1) != 1) ::abort();
    ::close(ready[0]);
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // Its wait status.
  int wait() {
    int status = -1;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = -1;
    return status;
  }

  // Waits until it has ended and leaves it a zombie.
  void wait_without_reaping() const {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }

 private:
  pid_t pid_ = -1;
};

}  // namespace gpuctl::testing
