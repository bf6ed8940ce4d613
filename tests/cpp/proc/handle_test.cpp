#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "gpuctl/proc/identity.hpp"
#include "support/child.hpp"
#include "support/doing_without.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::DoingWithout;
using gpuctl::testing::TempTree;
using Kind = proc::Handle::Kind;

namespace {

// Every kind of handle that can be had: a pidfd where this kernel has them, and the directory always.
constexpr const char* kKinds[] = {"", "pidfd"};

HostFs live() { return std::move(*HostFs::open("/")); }

}  // namespace

TEST_CASE("a handle follows its process to the end") {
  const HostFs fs = live();
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    const DoingWithout older(kind);
    Child child;
    const Result<proc::Handle> handle = proc::Handle::open(fs, child.pid());
    REQUIRE(handle);
    if (*kind != '\0') CHECK(handle->kind() == Kind::proc_dir);
    CHECK(handle->pid() == child.pid());
    CHECK(handle->exists());
    CHECK_FALSE(handle->has_ended(fs));
    CHECK(handle->read_stat(fs)->ppid == ::getpid());

    ::kill(child.pid(), SIGKILL);
    child.wait_without_reaping();
    CHECK(handle->exists());
    CHECK(handle->has_ended(fs));
    CHECK(handle->read_stat(fs)->is_dead());

    child.wait();
    CHECK_FALSE(handle->exists());
    CHECK(handle->has_ended(fs));
    CHECK(handle->read_stat(fs).error().code == ErrorCode::vanished);
  }
}

TEST_CASE("a handle is not opened where there is no process") {
  const HostFs fs = live();
  Child child;
  const pid_t gone = child.pid();
  ::kill(gone, SIGKILL);
  child.wait();
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    const DoingWithout older(kind);
    for (const pid_t bad : {0, -1, -7}) {
      REQUIRE_FALSE(proc::Handle::open(fs, bad));
      CHECK(proc::Handle::open(fs, bad).error().code == ErrorCode::usage);
    }
    CHECK_FALSE(proc::Handle::open(fs, gone));
    CHECK_FALSE(proc::Handle::open(fs, 0x7fffffff));
  }
}

TEST_CASE("a thread is no process") {
  const HostFs fs = live();
  int hold[2];
  int told[2];
  REQUIRE(::pipe(hold) == 0);
  REQUIRE(::pipe(told) == 0);
  std::thread worker([&] {
    const pid_t self = static_cast<pid_t>(::syscall(SYS_gettid));
    char byte = 0;
    if (::write(told[1], &self, sizeof self) == sizeof self && ::read(hold[0], &byte, 1) < 0)
      return;
  });
  pid_t thread = 0;
  REQUIRE(::read(told[0], &thread, sizeof thread) == sizeof thread);
  CHECK(*proc::thread_group_of(fs, thread) == ::getpid());
  CHECK(*proc::thread_group_of(fs, ::getpid()) == ::getpid());
  for (const char* kind : kKinds) {
    const DoingWithout older(kind);
    const Result<proc::Handle> handle = proc::Handle::open(fs, thread);
    REQUIRE_FALSE(handle);
    CHECK(handle.error().detail ==
          "no process but a thread of process " + std::to_string(::getpid()));
  }
  REQUIRE(::write(hold[1], "x", 1) == 1);
  worker.join();
}

TEST_CASE("a first thread that ended before the others is no end") {
  const HostFs fs = live();
  const Child child([] {
    std::thread([] { ::pause(); }).detach();
    ::syscall(SYS_exit, 0);
  });
  for (int i = 0; i < 2000 && proc::read_stat(fs, child.pid())->state != 'Z'; ++i) ::usleep(1000);
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    const DoingWithout older(kind);
    const Result<proc::Handle> handle = proc::Handle::open(fs, child.pid());
    REQUIRE(handle);
    CHECK(handle->read_stat(fs)->state == 'Z');
    CHECK_FALSE(handle->has_ended(fs));
  }
}

TEST_CASE("the numbers of a recorded machine are not processes of this one") {
  const TempTree tree;
  const std::string self = std::to_string(::getpid());
  tree.write("proc/" + self + "/status", "Name:\trecorded\nTgid:\t" + self + "\n");
  tree.write("proc/" + self + "/stat", "garbage");
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  const Result<proc::Handle> handle = proc::Handle::open(fs, ::getpid());
  REQUIRE(handle);
  CHECK(handle->kind() == Kind::proc_dir);
  CHECK(handle->read_stat(fs).error().code == ErrorCode::malformed);
  tree.write("proc/7/status", "Name:\tx\n");
  CHECK(proc::Handle::open(fs, 7).error().code == ErrorCode::malformed);
  tree.write("proc/8/status", "Name:\tx\nTgid:\t-8\n");
  CHECK(proc::Handle::open(fs, 8).error().code == ErrorCode::malformed);
}

TEST_CASE("an identity is the same however it was taken, but for the kernel's own number") {
  const HostFs fs = live();
  const proc::Here here = *proc::read_here(fs);
  const Child child;
  const proc::Identity by_pidfd = *proc::identify(fs, here, child.pid());
  const DoingWithout older("pidfd");
  const proc::Identity by_directory = *proc::identify(fs, here, child.pid());
  CHECK_FALSE(by_directory.pidfs_inode);
  CHECK(by_directory.start_ticks == by_pidfd.start_ticks);
  CHECK(proc::judge(fs, by_pidfd) == proc::Liveness::alive);
  CHECK(proc::judge(fs, by_directory) == proc::Liveness::alive);
}
