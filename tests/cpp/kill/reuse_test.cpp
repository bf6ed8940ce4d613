// A pid that is given to somebody else between the list and the signal: made on purpose by clone3(2) with set_tid, which
// root of a pid namespace may use.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/kill/engine.hpp"
#include "support/child.hpp"
#include "support/doing_without.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::DoingWithout;

namespace {

// struct clone_args of <linux/sched.h> up to set_tid (Linux 5.5).
struct CloneWithPid {
  std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  std::uint64_t set_tid, set_tid_size;
};

// A sleeping child that has this number, or -1.
pid_t fork_as(pid_t wanted) {
  CloneWithPid arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<std::uint64_t>(&wanted);
  arguments.set_tid_size = 1;
  const auto pid =
      static_cast<pid_t>(::syscall(syscall_numbers::kClone3, &arguments, sizeof arguments));
  if (pid == 0) {
    ::alarm(30);
    while (true) ::pause();
  }
  return pid;
}

bool lives(const HostFs& fs, pid_t pid) {
  const Result<proc::Stat> stat = proc::read_stat(fs, pid);
  return stat && !stat->is_dead();
}

}  // namespace

TEST_CASE("who gets a member's number is not hit") {
  for (const char* missing : {"", "pidfd"}) {
    CAPTURE(missing);
    const DoingWithout older(missing);
    const HostFs fs = std::move(*HostFs::open("/"));
    int same_tick = 0;
    for (int round = 0; round < 20; ++round) {
      Child member;
      const pid_t number = member.pid();
      const proc::Stat stat = *proc::read_stat(fs, number);
      Result<proc::Handle> handle = proc::Handle::open(fs, number);
      REQUIRE(handle);
      kill::Signaller signaller(fs, stat.start_ticks);
      kill::PidTree tree(fs, std::move(*handle), stat);
      CHECK(tree.members(kill::Target::Why::ask).size() == 1);
      ::kill(number, SIGKILL);
      member.wait();

      const pid_t stranger = fork_as(number);
      if (stranger < 0) {
        MESSAGE("set_tid is not allowed here: not tried");
        return;
      }
      REQUIRE(stranger == number);
      const Result<proc::Stat> theirs = proc::read_stat(fs, stranger);
      if (theirs && theirs->start_ticks == stat.start_ticks) ++same_tick;
      const kill::Belongs belongs = [&](const proc::Stat& now) { return tree.belongs(now); };
      CHECK(signaller.force(stat, belongs) == kill::Sent::gone);  // by the old list
      kill::Engine engine(fs, signaller, tree);
      engine.force();
      CHECK(signaller.count(SIGKILL) == 0);
      CHECK(lives(fs, stranger));
      ::kill(stranger, SIGKILL);
      ::waitpid(stranger, nullptr, 0);
    }
    MESSAGE("within the same tick: ", same_tick, " of 20");
  }
}
