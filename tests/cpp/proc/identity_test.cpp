#include "gpuctl/proc/identity.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "support/child.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::TempTree;

namespace {

struct Live {
  HostFs fs = std::move(*HostFs::open("/"));
  proc::Here here = *proc::read_here(fs);
};

}  // namespace

TEST_CASE("alive, a zombie, gone") {
  const Live live;
  Child child;
  const proc::Identity identity = *proc::identify(live.fs, live.here, child.pid());
  CHECK(proc::judge(live.fs, identity) == proc::Liveness::alive);
  ::kill(child.pid(), SIGKILL);
  child.wait_without_reaping();
  CHECK(proc::judge(live.fs, identity) == proc::Liveness::dead);
  child.wait();
  CHECK(proc::judge(live.fs, identity) == proc::Liveness::dead);
  CHECK_FALSE(proc::identify(live.fs, live.here, identity.pid));
}

TEST_CASE("who has the number now is not who had it") {
  const Live live;
  Child child;
  const proc::Identity identity = *proc::identify(live.fs, live.here, child.pid());
  proc::Identity other = identity;
  other.pidfs_inode.reset();  // as on kernels that have none
  other.start_ticks += 1;
  CHECK(proc::judge(live.fs, other) == proc::Liveness::dead);
  other = identity;
  if (other.pidfs_inode) {
    *other.pidfs_inode += 1;  // the same pid and start tick: reused within 10 ms
    CHECK(proc::judge(live.fs, other) == proc::Liveness::dead);
  }
}

TEST_CASE("another boot is death, another pid namespace is not known") {
  const Live live;
  const proc::Identity self = *proc::identify(live.fs, live.here, ::getpid());
  proc::Identity other = self;
  other.boot_id = "00000000-0000-0000-0000-000000000000";
  CHECK(proc::judge(live.fs, other) == proc::Liveness::dead);
  other = self;
  other.pid_namespace += 1;
  CHECK(proc::judge(live.fs, other) == proc::Liveness::unknown);
}

TEST_CASE("a /proc of other processes is refused") {
  const TempTree tree;
  tree.write("proc/sys/kernel/random/boot_id", "b\n");
  CHECK_FALSE(proc::read_here(*HostFs::open(tree.path())));
  tree.link(std::to_string(::getpid() + 1), "proc/self");
  CHECK(proc::read_here(*HostFs::open(tree.path())).error().code == ErrorCode::unavailable);
}

TEST_CASE("an identity survives its record") {
  const Live live;
  const proc::Identity self = *proc::identify(live.fs, live.here, ::getpid());
  Record record("test", 1);
  proc::store(record, "who", self);
  const Result<proc::Identity> back = proc::load_identity(record, "who");
  REQUIRE(back);
  CHECK(back->pid == self.pid);
  CHECK(back->start_ticks == self.start_ticks);
  CHECK(back->pidfs_inode == self.pidfs_inode);
  CHECK(proc::judge(live.fs, *back) == proc::Liveness::alive);
  for (const char* bad : {"0", "-1", "4294967296", "x", ""}) {
    record.set("who.pid", std::string_view(bad));
    CHECK_FALSE(proc::load_identity(record, "who"));
  }
  CHECK_FALSE(proc::load_identity(record, "whom"));
}
