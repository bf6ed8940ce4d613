#include "gpuctl/kill/sweep.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>

#include "support/child.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::TempTree;

TEST_CASE("a stopped process is asked and woken, so that it can end") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  Child child([] { ::raise(SIGSTOP); });
  int status = 0;
  ::waitpid(child.pid(), &status, WUNTRACED);
  REQUIRE(WIFSTOPPED(status));
  kill::ask_to_end(signaller, {*proc::read_stat(fs, child.pid())}, SIGTERM);
  CHECK(WTERMSIG(child.wait()) == SIGTERM);
}

TEST_CASE("one TERM for each process, however often it is asked") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  static volatile sig_atomic_t terms = 0;
  int told[2];
  REQUIRE(::pipe(told) == 0);
  Child child([&] {
    std::signal(SIGTERM, [](int) { terms = terms + 1; });
    if (::write(told[1], "x", 1) != 1) return;
    std::signal(SIGUSR1, [](int) { ::_exit(terms); });
    while (true) ::pause();
  });
  char byte = 0;
  REQUIRE(::read(told[0], &byte, 1) == 1);
  const std::vector<proc::Stat> members{*proc::read_stat(fs, child.pid())};
  for (int i = 0; i < 3; ++i) kill::ask_to_end(signaller, members, SIGTERM);
  ::usleep(20'000);
  ::kill(child.pid(), SIGUSR1);
  CHECK(WEXITSTATUS(child.wait()) == 1);
}

TEST_CASE("rounds come slower and never stop coming") {
  CHECK(kill::round_delay(0) == 0);
  for (unsigned round = 1; round < 200; ++round)
    CHECK(kill::round_delay(round) >= kill::round_delay(round - 1));
  CHECK(kill::round_delay(4'000'000'000U) == kUsecPerSec);
}

TEST_CASE("survivors are named with where they wait; the dead are not") {
  const TempTree tree;
  tree.write("proc/7/wchan", "rpc_wait_bit_killable");
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  proc::Stat stuck;
  stuck.pid = 7;
  stuck.name = "reader";
  stuck.state = 'D';
  proc::Stat zombie;
  zombie.pid = 8;
  zombie.state = 'Z';
  zombie.threads = 1;
  proc::Stat leader = zombie;
  leader.pid = 9;
  leader.threads = 3;
  const std::vector<kill::Survivor> survivors =
      kill::describe_survivors(fs, {stuck, zombie, leader});
  REQUIRE(survivors.size() == 2);
  CHECK(survivors[0].wchan == "rpc_wait_bit_killable");
  CHECK(survivors[0].state == 'D');
  CHECK(survivors[1].pid == 9);
}
