#include "gpuctl/kill/signaller.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "support/child.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;

namespace {

proc::Stat stat_of(const HostFs& fs, pid_t pid) { return *proc::read_stat(fs, pid); }

}  // namespace

TEST_CASE("a process of ours gets its signal, and it is counted once") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, stat_of(fs, ::getpid()).start_ticks);
  Child child;
  const proc::Stat target = stat_of(fs, child.pid());
  CHECK(signaller.send(target, SIGCONT) == kill::Sent::yes);
  CHECK(signaller.send(target, SIGCONT) == kill::Sent::yes);
  CHECK(signaller.count(SIGCONT) == 1);
  CHECK(signaller.has_got(target, SIGCONT));
  CHECK_FALSE(signaller.has_got(target, SIGKILL));
  CHECK(signaller.send(target, SIGKILL) == kill::Sent::yes);
  const int status = child.wait();
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(signaller.send(target, SIGKILL) == kill::Sent::gone);
  CHECK(signaller.refused().empty());
}

TEST_CASE("numbers that no job can have, ourselves and our ancestors are refused") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  std::vector<pid_t> forbidden{0, -1, 1, -5, ::getpid(), -::getpid()};
  for (pid_t pid = ::getppid(); pid > 1; pid = stat_of(fs, pid).ppid) forbidden.push_back(pid);
  for (const pid_t pid : forbidden) {
    CAPTURE(pid);
    proc::Stat target;
    target.pid = pid;
    if (const Result<proc::Stat> known = proc::read_stat(fs, pid > 0 ? pid : 1))
      target.start_ticks = known->start_ticks;
    // Signal 0 does nothing even where the guard fails.
    CHECK(signaller.send(target, 0) == kill::Sent::refused);
  }
  CHECK(signaller.refused().size() == forbidden.size());
  CHECK(signaller.count(0) == 0);
}

TEST_CASE("whoever got the number since is not the one that was meant") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  Child child;
  proc::Stat target = stat_of(fs, child.pid());
  target.start_ticks += 1;
  CHECK(signaller.send(target, SIGKILL) == kill::Sent::gone);
  CHECK(proc::read_stat(fs, child.pid()));
}

TEST_CASE("what is older than the job is not the job's") {
  const HostFs fs = std::move(*HostFs::open("/"));
  Child child;
  const proc::Stat target = stat_of(fs, child.pid());
  kill::Signaller signaller(fs, target.start_ticks + 1);
  CHECK(signaller.send(target, SIGKILL) == kill::Sent::refused);
  REQUIRE(signaller.refused().size() == 1);
  CHECK(signaller.refused()[0].reason == "older than the job");
  CHECK_FALSE(stat_of(fs, child.pid()).is_dead());
}

TEST_CASE("kernel threads are refused") {
  const HostFs fs = std::move(*HostFs::open("/"));
  const Result<proc::Stat> kthreadd = proc::read_stat(fs, 2);
  if (!kthreadd || !kthreadd->is_kernel_thread()) return;  // in a pid namespace there is none
  kill::Signaller signaller(fs, 0);
  CHECK(signaller.send(*kthreadd, 0) == kill::Sent::refused);
}
