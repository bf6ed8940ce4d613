#include "gpuctl/proc/stat.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "support/child.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;

namespace {

// A line as proc_pid_stat(5) has it.
std::string line(const std::string& name, const std::string& state = "S",
                 const std::string& threads = "1") {
  return "42 (" + name + ") " + state + " 7 42 42 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 " + threads +
         " 0 987654 1000 250 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 "
         "0 0 0";
}

}  // namespace

TEST_CASE("fields are found behind the last parenthesis, whatever the name is") {
  for (const char* name :
       {"sh", "", "x) Z 1 (", "(", ")", ") R 1 2", "a b\nc", "gpuctl", "((((", "\xff\x80"}) {
    CAPTURE(name);
    const Result<proc::Stat> stat = proc::parse_stat(line(name));
    REQUIRE(stat);
    CHECK(stat->name == name);
    CHECK(stat->pid == 42);
    CHECK(stat->state == 'S');
    CHECK(stat->ppid == 7);
    CHECK(stat->threads == 1);
    CHECK(stat->start_ticks == 987654);
    CHECK(stat->rss_pages == 250);
    CHECK(stat->utime_ticks == 50);
    CHECK(stat->stime_ticks == 60);
    CHECK_FALSE(stat->is_kernel_thread());
  }
}

TEST_CASE("a zombie whose threads live is alive") {
  CHECK(proc::parse_stat(line("x", "Z"))->is_dead());
  CHECK_FALSE(proc::parse_stat(line("x", "Z", "2"))->is_dead());
  CHECK(proc::parse_stat(line("x", "X"))->is_dead());
  for (const char* state : {"R", "S", "D", "T", "t", "I"})
    CHECK_FALSE(proc::parse_stat(line("x", state))->is_dead());
}

TEST_CASE("what is no stat is malformed") {
  for (const std::string& bad :
       {std::string(), std::string("42"), std::string("42 (sh)"), std::string("42 (sh) S"),
        std::string("(sh) S 1"), "x" + line("sh"), line("sh").substr(0, 60),
        std::string("-1 (a) S 1 2 3"), std::string(70'000, ' ')}) {
    CAPTURE(bad.substr(0, 40));
    CHECK_FALSE(proc::parse_stat(bad));
  }
}

TEST_CASE("a live process, its zombie, and nobody") {
  const Result<HostFs> fs = HostFs::open("/");
  Child child([] {
    ::prctl(PR_SET_NAME, "x) Z 1 (\n");
    ::pause();
  });
  Result<proc::Stat> stat = proc::read_stat(*fs, child.pid());
  for (int i = 0; i < 1000 && stat->name != "x) Z 1 (\n"; ++i) {
    ::usleep(1000);
    stat = proc::read_stat(*fs, child.pid());
  }
  CHECK(stat->name == "x) Z 1 (\n");
  CHECK(stat->ppid == ::getpid());
  const pid_t pid = child.pid();
  ::kill(pid, SIGKILL);
  child.wait_without_reaping();
  CHECK(proc::read_stat(*fs, pid)->is_dead());
  child.wait();
  CHECK_FALSE(proc::read_stat(*fs, pid));
}
