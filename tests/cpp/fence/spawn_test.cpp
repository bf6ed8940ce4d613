#include "gpuctl/fence/spawn.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpuctl/fence/restrict.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

namespace {

fence::SpawnRequest request_for(const std::vector<std::string>& argv,
                                fence::ProcessFence strongest) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  fence::SpawnRequest request;
  request.argv = argv;
  request.environment = {"PATH=/usr/bin:/bin", "WORD=here"};
  request.strongest = strongest;
  return request;
}

// Reaps all; the status of the direct child.
int reap(pid_t pid) {
  int result = -1;
  int status = 0;
  for (pid_t each = 0; (each = ::waitpid(-1, &status, __WALL)) > 0;) {
    if (each == pid) result = status;
  }
  return result;
}

}  // namespace

TEST_CASE("a payload runs in its directory, with its environment, and its status comes back") {
  for (const fence::ProcessFence strongest :
       {fence::ProcessFence::session, fence::ProcessFence::pid_namespace}) {
    const TempTree tree;
    const Result<Fd> dir = open_at(AT_FDCWD, tree.path(), O_RDONLY | O_DIRECTORY);
    fence::SpawnRequest request = request_for({"sh", "-c", "echo $WORD > out; exit 7"}, strongest);
    request.directory_fd = dir->get();
    const Result<fence::Child> child = fence::spawn(request);
    REQUIRE(child);
    CHECK(child->fence <= strongest);
    CHECK_FALSE(tree.exists("out"));
    REQUIRE(fence::release(*child));
    CHECK_FALSE(fence::exec_errno(*child));
    const int status = reap(child->pid);
    CHECK_FALSE(fence::payload_status(*child));
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    CHECK(tree.read("out") == "here\n");
  }
}

TEST_CASE("Landlock beside a GPU's node: disks and consoles are refused, common nodes are not") {
  const char* script =
      "for each in /dev/* ; do"
      "  if test -b $each && head -c 1 $each >/dev/null 2>&1; then exit 1; fi;"
      "done;"
      "! true 2>/dev/null </dev/tty1 && ! true 2>/dev/null </dev/vcs && "
      "true </dev/zero && true >/dev/full && true </dev/urandom";
  fence::SpawnRequest request = request_for({"sh", "-c", script}, fence::ProcessFence::session);
  fence::DevicePlan devices;
  devices.refused = {"/dev/gpuctl-test"};
  request.devices = &devices;
  const Result<fence::Child> child = fence::spawn(request);
  REQUIRE(child);
  REQUIRE(child->has_landlock == (fence::landlock_abi() > 0));
  REQUIRE(fence::release(*child));
  const int status = reap(child->pid);
  CHECK(WIFEXITED(status));
  if (child->has_landlock) CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("init tells in words how a payload ended that leaves something running, or by a signal") {
  const auto status_of = [](const char* script) {
    const Result<fence::Child> child =
        fence::spawn(request_for({"sh", "-c", script}, fence::ProcessFence::pid_namespace));
    REQUIRE(child);
    if (child->fence != fence::ProcessFence::pid_namespace) return std::optional<int>();
    REQUIRE(fence::release(*child));
    const int init_status = reap(child->pid);
    CHECK(WIFEXITED(init_status));
    CHECK(WEXITSTATUS(init_status) == 0);
    const std::optional<int> told = fence::payload_status(*child);
    REQUIRE(told);
    return told;
  };
  if (const std::optional<int> left = status_of("sleep 0.2 & exit 7")) {
    CHECK(WIFEXITED(*left));
    CHECK(WEXITSTATUS(*left) == 7);
  }
  if (const std::optional<int> killed = status_of("kill -9 $$")) {
    CHECK(WIFSIGNALED(*killed));
    CHECK(WTERMSIG(*killed) == SIGKILL);
  }
}

TEST_CASE("a payload that died before its release is not released") {
  for (const fence::ProcessFence strongest :
       {fence::ProcessFence::session, fence::ProcessFence::pid_namespace}) {
    const Result<fence::Child> child = fence::spawn(request_for({"true"}, strongest));
    REQUIRE(child);
    REQUIRE(::kill(child->payload, SIGKILL) == 0);
    reap(child->pid);
    const Result<void> released = fence::release(*child);
    REQUIRE_FALSE(released);
    CHECK(released.error().code == ErrorCode::vanished);
  }
}

TEST_CASE("an exec that fails says why") {
  for (const fence::ProcessFence strongest :
       {fence::ProcessFence::session, fence::ProcessFence::pid_namespace}) {
    const Result<fence::Child> child = fence::spawn(request_for({"/no/such/program"}, strongest));
    REQUIRE(child);
    REQUIRE(fence::release(*child));
    const std::optional<int> reason = fence::exec_errno(*child);
    REQUIRE(reason);
    CHECK(*reason == ENOENT);
    reap(child->pid);
  }
}

TEST_CASE("a payload that is never released never runs") {
  for (const fence::ProcessFence strongest :
       {fence::ProcessFence::session, fence::ProcessFence::pid_namespace}) {
    const TempTree tree;
    pid_t pid = 0;
    {
      const Result<fence::Child> child =
          fence::spawn(request_for({"touch", tree.path("ran")}, strongest));
      REQUIRE(child);
      pid = child->pid;
    }  // the channel closes: as when the supervisor dies
    reap(pid);
    CHECK_FALSE(tree.exists("ran"));
  }
}

TEST_CASE("nothing to run is a usage error") {
  CHECK(fence::spawn(request_for({}, fence::ProcessFence::session)).error().code ==
        ErrorCode::usage);
}
