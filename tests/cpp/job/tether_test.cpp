#include "gpuctl/job/tether.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "gpuctl/base/syscall_numbers.hpp"
#include "support/child.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using job::Tether;

namespace {

constexpr int kPatienceMs = 20'000;

Fd hold(pid_t pid) { return Fd(static_cast<int>(::syscall(syscall_numbers::kPidfdOpen, pid, 0))); }

bool has_ended(const Fd& process, int within_ms = kPatienceMs) {
  pollfd waiting{process.get(), POLLIN, 0};
  return ::poll(&waiting, 1, within_ms) == 1;
}

Tether::News next_news(Tether& tether) {
  pollfd waiting{tether.fd(), POLLIN, 0};
  ::poll(&waiting, 1, kPatienceMs);
  return tether.read();
}

// As the supervisor is: a subreaper, for the time of the test.
class Subreaper {
 public:
  Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
};

bool is_subreaper() {
  int on = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &on);
  return on == 1;
}

}  // namespace

TEST_CASE("it is no child of its maker, which stays a subreaper") {
  const Subreaper subreaper;
  Result<Tether> tether = Tether::make();
  REQUIRE(tether);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
  CHECK(is_subreaper());
  const Fd process = hold(tether->pid());
  CHECK_FALSE(has_ended(process, 0));
  tether->let_go();
  CHECK(has_ended(process));
  CHECK(tether->fd() == -1);
  CHECK_FALSE(tether->read().is_gone);
}

TEST_CASE("signals are passed on, in the order of their coming") {
  Result<Tether> tether = Tether::make();
  REQUIRE(tether);
  CHECK(tether->read().signals.empty());
  for (const int number : {SIGUSR1, SIGTERM, SIGINT}) {
    ::kill(tether->pid(), number);
    const Tether::News news = next_news(*tether);
    CHECK(news.signals == std::vector<int>{number});
    CHECK_FALSE(news.is_gone);
  }
}

TEST_CASE("its death is told once") {
  Result<Tether> tether = Tether::make();
  REQUIRE(tether);
  ::kill(tether->pid(), SIGKILL);
  CHECK(next_news(*tether).is_gone);
  CHECK(tether->fd() == -1);
  CHECK_FALSE(tether->read().is_gone);
}

TEST_CASE("a stopped one is let go without it, and ends when it goes on") {
  Result<Tether> tether = Tether::make();
  REQUIRE(tether);
  const Fd process = hold(tether->pid());
  ::kill(tether->pid(), SIGSTOP);
  tether->let_go();
  CHECK_FALSE(has_ended(process, 0));
  ::syscall(syscall_numbers::kPidfdSendSignal, process.get(), SIGCONT, nullptr, 0);
  CHECK(has_ended(process));
}

TEST_CASE("it ends with its maker, whatever kills that") {
  Result<Pipe> told = make_pipe();
  REQUIRE(told);
  Child maker([&] {
    Result<Tether> tether = Tether::make();
    const pid_t pid = tether ? tether->pid() : 0;
    if (::write(told->write_end.get(), &pid, sizeof pid) == sizeof pid) ::pause();
  });
  pid_t pid = 0;
  REQUIRE(::read(told->read_end.get(), &pid, sizeof pid) == sizeof pid);
  REQUIRE(pid > 0);
  const Fd process = hold(pid);
  CHECK_FALSE(has_ended(process, 0));
  ::kill(maker.pid(), SIGKILL);
  CHECK(has_ended(process));
}

TEST_CASE("it holds no descriptor of its maker's") {
  Result<Pipe> pipe = make_pipe();
  REQUIRE(pipe);
  Result<Tether> tether = Tether::make();
  REQUIRE(tether);
  pipe->write_end.reset();
  pollfd hung_up{pipe->read_end.get(), POLLIN, 0};
  CHECK(::poll(&hung_up, 1, kPatienceMs) == 1);
  CHECK((hung_up.revents & POLLHUP) != 0);
}
