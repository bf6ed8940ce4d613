#include "gpuctl/kill/signaller.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "support/child.hpp"
#include "support/doing_without.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::DoingWithout;

namespace {

proc::Stat stat_of(const HostFs& fs, pid_t pid) { return *proc::read_stat(fs, pid); }

bool anybody(const proc::Stat&) { return true; }

}  // namespace

TEST_CASE("a process of ours gets its signal, and it is counted once") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, stat_of(fs, ::getpid()).start_ticks);
  Child child;
  const proc::Stat target = stat_of(fs, child.pid());
  CHECK(signaller.send(target, SIGCONT, anybody) == kill::Sent::yes);
  CHECK(signaller.send(target, SIGCONT, anybody) == kill::Sent::yes);
  CHECK(signaller.count(SIGCONT) == 1);
  CHECK(signaller.times(target, SIGCONT) == 2);
  CHECK(signaller.has_got(target, SIGCONT));
  CHECK_FALSE(signaller.has_got(target, SIGKILL));
  CHECK(signaller.force(target, anybody) == kill::Sent::yes);
  const int status = child.wait();
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(signaller.force(target, anybody) == kill::Sent::gone);
  CHECK(signaller.refused().empty());
}

TEST_CASE("the same without pidfds") {
  const DoingWithout older("pidfd");
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  Child child;
  const proc::Stat target = stat_of(fs, child.pid());
  CHECK(signaller.ask(target, SIGTERM, anybody) == kill::Sent::yes);
  CHECK(signaller.has_got(target, SIGCONT));
  CHECK(WTERMSIG(child.wait()) == SIGTERM);
  CHECK(signaller.send(target, SIGKILL, anybody) == kill::Sent::gone);
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
    CHECK(signaller.send(target, 0, anybody) == kill::Sent::refused);
    CHECK(signaller.objection(target));
  }
  CHECK(signaller.refused().size() == forbidden.size());
  CHECK(signaller.count(0) == 0);
}

TEST_CASE("the number of an ancestor that has ended is nobody's any more") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  proc::Stat reused = stat_of(fs, ::getppid());
  reused.start_ticks += 1;
  CHECK_FALSE(signaller.objection(reused));
  CHECK(signaller.objection(stat_of(fs, ::getppid())));
}

TEST_CASE("whoever got the number since is not the one that was meant") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  Child child;
  proc::Stat target = stat_of(fs, child.pid());
  target.start_ticks += 1;
  CHECK(signaller.send(target, SIGKILL, anybody) == kill::Sent::gone);
  CHECK(proc::read_stat(fs, child.pid()));
}

TEST_CASE("within one tick only the membership tells them apart") {
  for (const char* missing : {"", "pidfd"}) {
    const DoingWithout older(missing);
    const HostFs fs = std::move(*HostFs::open("/"));
    kill::Signaller signaller(fs, 0);
    Child child;
    const proc::Stat target = stat_of(fs, child.pid());
    const auto nobody = [](const proc::Stat&) { return false; };
    CHECK(signaller.force(target, nobody) == kill::Sent::gone);
    CHECK(signaller.count(SIGKILL) == 0);
    CHECK_FALSE(stat_of(fs, child.pid()).is_dead());
  }
}

TEST_CASE("what is older than the job is not the job's") {
  const HostFs fs = std::move(*HostFs::open("/"));
  Child child;
  const proc::Stat target = stat_of(fs, child.pid());
  kill::Signaller signaller(fs, target.start_ticks + 1);
  CHECK(signaller.send(target, SIGKILL, anybody) == kill::Sent::refused);
  REQUIRE(signaller.refused().size() == 1);
  CHECK(signaller.refused()[0].reason == "older than the job");
  CHECK_FALSE(stat_of(fs, child.pid()).is_dead());
}

TEST_CASE("kernel threads are refused") {
  const HostFs fs = std::move(*HostFs::open("/"));
  const Result<proc::Stat> kthreadd = proc::read_stat(fs, 2);
  if (!kthreadd || !kthreadd->is_kernel_thread()) return;  // in a pid namespace there is none
  kill::Signaller signaller(fs, 0);
  CHECK(signaller.send(*kthreadd, 0, anybody) == kill::Sent::refused);
}

TEST_CASE("another user's process is refused, with its owner") {
  if (::geteuid() != 0) return;  // needs somebody else
  const HostFs fs = std::move(*HostFs::open("/"));
  Child stranger([] {
    if (::setuid(4242) == 0) ::pause();
  });
  const proc::Stat target = stat_of(fs, stranger.pid());
  while (fs.read_file("proc/" + std::to_string(target.pid) + "/status")->find("Uid:\t4242") ==
         std::string::npos)
    ::usleep(1000);
  Child user([&] {
    if (::setuid(4243) != 0) ::_exit(97);
    kill::Signaller signaller(fs, 0);
    if (signaller.send(target, SIGKILL, anybody) != kill::Sent::refused) ::_exit(1);
    ::_exit(signaller.refused().at(0).reason == "another user's (uid 4242)" ? 0 : 2);
  });
  CHECK(WEXITSTATUS(user.wait()) == 0);
  CHECK_FALSE(stat_of(fs, stranger.pid()).is_dead());
}

TEST_CASE("who is forced to end forks no more") {
  if (::geteuid() != 0) return;  // the limit must be seen on somebody whom it binds
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  Child child([] { ::raise(SIGSTOP); });
  const proc::Stat target = stat_of(fs, child.pid());
  CHECK(signaller.force(target, anybody) == kill::Sent::yes);
  child.wait_without_reaping();
  rlimit limit{1, 1};
  CHECK(::prlimit(child.pid(), RLIMIT_NPROC, nullptr, &limit) == 0);
  CHECK(limit.rlim_max == 0);
}
