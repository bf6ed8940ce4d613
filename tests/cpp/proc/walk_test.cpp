#include "gpuctl/proc/walk.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "support/child.hpp"
#include "support/doing_without.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::DoingWithout;
using gpuctl::testing::TempTree;

namespace {

bool holds(const std::vector<proc::Stat>& all, pid_t pid) {
  return std::any_of(all.begin(), all.end(),
                     [&](const proc::Stat& each) { return each.pid == pid; });
}

std::string stat_line(int pid, int ppid) {
  const std::string id = std::to_string(pid);
  return id + " (p" + id + ") S " + std::to_string(ppid) +
         " 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
         "0 0 0 0 0 0 0\n";
}

}  // namespace

TEST_CASE("children and grandchildren are found, parents first, strangers not") {
  const HostFs fs = std::move(*HostFs::open("/"));
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const Child parent([&] {
    const pid_t grandchild = ::fork();
    if (grandchild != 0 && ::write(pipe_ends[1], &grandchild, sizeof grandchild) < 0) return;
    ::pause();
  });
  pid_t grandchild = 0;
  REQUIRE(::read(pipe_ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
  const std::vector<proc::Stat> all = proc::descendants(fs, ::getpid());
  REQUIRE(holds(all, parent.pid()));
  REQUIRE(holds(all, grandchild));
  CHECK_FALSE(holds(all, ::getpid()));
  CHECK_FALSE(holds(all, 1));
  const auto place = [&](pid_t pid) {
    return std::find_if(all.begin(), all.end(),
                        [&](const proc::Stat& each) { return each.pid == pid; }) -
           all.begin();
  };
  CHECK(place(parent.pid()) < place(grandchild));
  CHECK(holds(proc::descendants(fs, parent.pid()), grandchild));
  ::kill(grandchild, SIGKILL);
}

TEST_CASE("below what is no process there is nobody") {
  const HostFs fs = std::move(*HostFs::open("/"));
  for (const char* kind : {"", "children"}) {
    const DoingWithout older(kind);
    for (const pid_t nobody : {0, -1, -::getpgrp(), 0x7fffffff})
      CHECK(proc::descendants(fs, nobody).empty());
  }
}

TEST_CASE("a child of another thread is found") {
  const HostFs fs = std::move(*HostFs::open("/"));
  pid_t forked = 0;
  int hold[2];
  int told[2];
  REQUIRE(::pipe(hold) == 0);
  REQUIRE(::pipe(told) == 0);
  std::thread worker([&] {
    forked = ::fork();
    if (forked == 0) {
      ::alarm(60);
      ::pause();
      ::_exit(0);
    }
    char byte = 'x';
    if (::write(told[1], &byte, 1) == 1 && ::read(hold[0], &byte, 1) < 0) return;
  });
  char byte = 0;
  REQUIRE(::read(told[0], &byte, 1) == 1);
  CHECK(holds(proc::descendants(fs, ::getpid()), forked));
  ::kill(forked, SIGKILL);
  REQUIRE(::write(hold[1], "x", 1) == 1);
  worker.join();
  ::waitpid(forked, nullptr, 0);
}

TEST_CASE("without children files all parents are scanned") {
  const TempTree tree;
  for (const auto& [pid, ppid] : {std::pair{1, 0}, {10, 1}, {11, 10}, {12, 11}, {20, 1}}) {
    tree.write("proc/" + std::to_string(pid) + "/stat", stat_line(pid, ppid));
  }
  tree.write("proc/30/stat", "garbage");
  tree.make_dir("proc/31");
  tree.make_dir("proc/self-made");
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  const std::vector<proc::Stat> all = proc::descendants(fs, 10);
  REQUIRE(all.size() == 2);
  CHECK(all[0].pid == 11);
  CHECK(all[1].pid == 12);
  CHECK(proc::all_pids(fs)->size() == 7);
}

TEST_CASE("a marked process is found by the whole entry, unless it is older") {
  const HostFs fs = std::move(*HostFs::open("/"));
  const std::string mark = "GPUCTL_TEST_MARK=" + std::to_string(::getpid());
  const Child child([&] {
    const char* arguments[] = {"sleep", "30", nullptr};
    const char* environment[] = {mark.c_str(), nullptr};
    ::execve("/bin/sleep", const_cast<char**>(arguments), const_cast<char**>(environment));
  });
  std::vector<proc::Stat> found;
  for (int i = 0; i < 2000 && found.empty(); ++i) {
    ::usleep(1000);
    found = proc::marked(fs, mark, 0);
  }
  REQUIRE(found.size() == 1);
  CHECK(found[0].pid == child.pid());
  CHECK(proc::marked(fs, mark.substr(0, mark.size() - 1), 0).empty());
  CHECK(proc::marked(fs, mark + "0", 0).empty());
  CHECK(proc::marked(fs, mark, found[0].start_ticks + 1).empty());
}
