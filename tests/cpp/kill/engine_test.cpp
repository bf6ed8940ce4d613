#include "gpuctl/kill/engine.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "support/child.hpp"
#include "support/doing_without.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::DoingWithout;
using gpuctl::testing::TempTree;

namespace {

// A list of members that a test makes up; empty when all of them are gone.
class Listed : public kill::Target {
 public:
  Listed(const HostFs& fs, std::vector<pid_t> pids) : fs_(fs), pids_(std::move(pids)) {}

  std::string method() const override { return "list"; }
  std::vector<proc::Stat> members(Why) override {
    std::vector<proc::Stat> all;
    for (const pid_t pid : pids_) {
      Result<proc::Stat> stat = proc::read_stat(fs_, pid);
      if (stat && !stat->is_dead()) all.push_back(std::move(*stat));
    }
    return all;
  }
  bool belongs(const proc::Stat& now) override {
    return std::find(pids_.begin(), pids_.end(), now.pid) != pids_.end();
  }
  std::optional<std::string> proof() override {
    return members(Why::ask).empty() ? std::optional<std::string>("identities") : std::nullopt;
  }

 private:
  const HostFs& fs_;
  std::vector<pid_t> pids_;
};

kill::Report end(const HostFs& fs, kill::Target& target, Usec grace,
                 std::vector<kill::Spared> spared = {}) {
  kill::Signaller signaller(fs, 0);
  kill::Engine engine(fs, signaller, target, std::move(spared));
  kill::Schedule schedule;
  schedule.begin(SIGTERM, grace, monotonic_usec());
  return kill::run_to_end(engine, schedule);
}

// Runs a child that ignores TERM; it says so before it is asked.
class Deaf {
 public:
  Deaf() {
    if (::read(ready_[0], &byte_, 1) != 1) ::abort();
  }
  ~Deaf() {
    ::close(ready_[0]);
    ::close(ready_[1]);
  }
  Deaf(const Deaf&) = delete;
  Deaf& operator=(const Deaf&) = delete;
  Child& child() { return child_; }

 private:
  void ignore() const {
    std::signal(SIGTERM, SIG_IGN);
    while (::write(ready_[1], "x", 1) == 1) ::pause();
  }

  int ready_[2];
  int piped_ = ::pipe(ready_);
  char byte_ = 0;
  Child child_{[this] { ignore(); }};
};

}  // namespace

TEST_CASE("a stopped process is asked and woken, so that it can end") {
  const HostFs fs = std::move(*HostFs::open("/"));
  Child child([] { ::raise(SIGSTOP); });
  int status = 0;
  ::waitpid(child.pid(), &status, WUNTRACED);
  REQUIRE(WIFSTOPPED(status));
  Listed target(fs, {child.pid()});
  const kill::Report report = end(fs, target, 10 * kUsecPerSec);
  CHECK(WTERMSIG(child.wait()) == SIGTERM);
  CHECK(report.signalled == 1);
  CHECK(report.killed == 0);
  CHECK(report.proof == "identities");
}

TEST_CASE("one TERM for each process, however often it is asked") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  static volatile sig_atomic_t terms = 0;
  int told[2];
  REQUIRE(::pipe(told) == 0);
  Child child([&] {
    std::signal(SIGTERM, [](int) { terms = terms + 1; });
    std::signal(SIGUSR1, [](int) { ::_exit(terms); });
    if (::write(told[1], "x", 1) != 1) return;
    while (true) ::pause();
  });
  char byte = 0;
  REQUIRE(::read(told[0], &byte, 1) == 1);
  Listed target(fs, {child.pid()});
  kill::Engine engine(fs, signaller, target);
  for (int i = 0; i < 3; ++i) CHECK(engine.ask(SIGTERM));
  ::usleep(20'000);
  ::kill(child.pid(), SIGUSR1);
  CHECK(WEXITSTATUS(child.wait()) == 1);
}

TEST_CASE("who ignores TERM gets KILL at the deadline, not before") {
  const HostFs fs = std::move(*HostFs::open("/"));
  Deaf deaf;
  Listed target(fs, {deaf.child().pid()});
  const kill::Report report = end(fs, target, kUsecPerSec / 5);
  CHECK(WTERMSIG(deaf.child().wait()) == SIGKILL);
  CHECK(report.killed == 1);
  CHECK(report.elapsed_usec >= kUsecPerSec / 5);
}

TEST_CASE("the spared are not asked and are forced with the others") {
  const HostFs fs = std::move(*HostFs::open("/"));
  Child child;
  Listed target(fs, {child.pid()});
  const kill::Report report = end(fs, target, kUsecPerSec / 5, {kill::Spared{child.pid(), ""}});
  CHECK(WTERMSIG(child.wait()) == SIGKILL);
  CHECK(report.signalled == 0);
}

TEST_CASE("what can be spared is a pid or an entry of an environment") {
  CHECK(*kill::parse_spared("12")->pid == 12);
  CHECK(kill::parse_spared("A=")->entry == "A=");
  CHECK(kill::parse_spared("A=b=c")->entry == "A=b=c");
  for (const char* wrong : {"", "0", "-1", "=x", "a", "12x", "99999999999", " 1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(kill::parse_spared(wrong));
  }
}

TEST_CASE("when nobody may be signalled, no minute is spent on trying") {
  const HostFs fs = std::move(*HostFs::open("/"));
  Listed target(fs, {::getpid()});
  const kill::Report report = end(fs, target, 0);
  REQUIRE(report.survivors.size() == 1);
  CHECK(report.survivors[0].pid == ::getpid());
  CHECK(report.refused.size() == 1);
  CHECK(report.proof.empty());
  CHECK(report.elapsed_usec < 10 * kUsecPerSec);
}

TEST_CASE("an empty target is a success without a signal") {
  const HostFs fs = std::move(*HostFs::open("/"));
  Listed target(fs, {});
  const kill::Report report = end(fs, target, 60 * kUsecPerSec);
  CHECK(report.proof == "identities");
  CHECK(report.signalled + report.killed == 0);
}

TEST_CASE("no process gets more than so many KILLs") {
  const HostFs fs = std::move(*HostFs::open("/"));
  kill::Signaller signaller(fs, 0);
  Child child([] { ::raise(SIGSTOP); });
  const proc::Stat stat = *proc::read_stat(fs, child.pid());
  for (unsigned i = 0; i < kill::kMostKills; ++i) signaller.note(stat, SIGKILL);
  Listed target(fs, {child.pid()});
  kill::Engine engine(fs, signaller, target);
  CHECK(engine.force());
  CHECK(signaller.times(stat, SIGKILL) == kill::kMostKills);
  CHECK_FALSE(proc::read_stat(fs, child.pid())->is_dead());
}

TEST_CASE("a tree is ended with what it makes meanwhile, and with its sessions") {
  for (const char* missing : {"", "pidfd", "children", "pidfd,children"}) {
    CAPTURE(missing);
    const DoingWithout older(missing);
    const HostFs fs = std::move(*HostFs::open("/"));
    int kept[2];
    REQUIRE(::pipe(kept) == 0);
    Child child([&] {
      ::setsid();
      for (int i = 0; i < 3; ++i) {
        if (::fork() != 0) continue;
        std::signal(SIGTERM, SIG_IGN);
        if (::fork() != 0 && i == 0) ::_exit(0);  // its child is an orphan of this session
        while (true) ::pause();
      }
      if (::write(kept[1], "x", 1) == 1) ::pause();
    });
    char byte = 0;
    REQUIRE(::read(kept[0], &byte, 1) == 1);
    ::close(kept[1]);
    ::usleep(20'000);
    Result<proc::Handle> handle = proc::Handle::open(fs, child.pid());
    kill::PidTree tree(fs, std::move(*handle), *proc::read_stat(fs, child.pid()));
    const kill::Report report = end(fs, tree, kUsecPerSec / 10);
    CHECK(report.survivors.empty());
    CHECK(report.proof == "identities");
    CHECK(WIFSIGNALED(child.wait()));
    // the last holder of the pipe is gone: end of file
    CHECK(::read(kept[0], &byte, 1) == 0);
    ::close(kept[0]);
  }
}

TEST_CASE("survivors are named with where they wait; the dead are not") {
  const TempTree root;
  root.write("proc/7/wchan", "rpc_wait_bit_killable");
  root.write("proc/7/syscall", "0 0x3 0x7ffd 0x1000");
  root.write("proc/7/cgroup", "0::/job\n");
  const HostFs fs = std::move(*HostFs::open(root.path()));
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
  CHECK(*survivors[0].syscall == "0");
  CHECK(*survivors[0].cgroup == "/job");
  CHECK(survivors[0].state == 'D');
  CHECK(survivors[1].pid == 9);
  CHECK_FALSE(survivors[1].syscall);
}
