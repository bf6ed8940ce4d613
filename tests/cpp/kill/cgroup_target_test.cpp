#include "gpuctl/kill/cgroup_target.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;
using kill::CgroupTarget;

namespace {

std::string in_group(const char* file) { return std::string("sys/fs/cgroup/unified/job/") + file; }

// A recorded group, in whose files anything may stand. Real groups: tests/adversarial.
void record(const TempTree& root, const std::string& procs, const std::string& events) {
  root.write(in_group("cgroup.procs"), procs);
  root.write(in_group("cgroup.events"), events);
}

}  // namespace

TEST_CASE("members that read as 0 are counted and never named") {
  const TempTree root;
  record(root, "12\n0\n7\n0\n12\n", "populated 1\nfrozen 0\n");
  root.write(in_group("inner/cgroup.procs"), "0\n3\n");
  const HostFs fs = std::move(*HostFs::open(root.path()));
  const Result<CgroupTarget> group = CgroupTarget::open(fs, "/job");
  REQUIRE(group);
  const CgroupTarget::Listing listing = group->list();
  CHECK(listing.pids == std::vector<pid_t>{3, 7, 12});
  CHECK(listing.unseen == 3);
}

TEST_CASE("what is no number of a process is no member") {
  const TempTree root;
  record(root, "-1\n99999999999\nx\n 5\n\n4 4\n", "populated 0\n");
  const HostFs fs = std::move(*HostFs::open(root.path()));
  CHECK(CgroupTarget::open(fs, "/job")->list().pids.empty());
}

TEST_CASE("the proof is the kernel's word, and only that") {
  for (const auto& [events, proven] : {std::pair{"populated 1\nfrozen 0\n", false},
                                       {"populated 0\nfrozen 0\n", true},
                                       {"frozen 0\npopulated 0\n", true},
                                       {"frozen 0\n", false},
                                       {"", false},
                                       {"unpopulated 0\n", false}}) {
    CAPTURE(events);
    const TempTree root;
    record(root, "", events);
    const HostFs fs = std::move(*HostFs::open(root.path()));
    Result<CgroupTarget> group = CgroupTarget::open(fs, "/job");
    CHECK(group->proof().has_value() == proven);
  }
}

TEST_CASE(
    "paths: as in /proc/PID/cgroup or below the mount; nothing that climbs, no root, no stranger") {
  const TempTree root;
  record(root, "", "populated 0\n");
  root.write("sys/fs/cgroup/unified/cgroup.procs", "");
  const HostFs fs = std::move(*HostFs::open(root.path()));
  for (const char* good : {"/job", "job", "/job/", "/sys/fs/cgroup/unified/job"}) {
    CAPTURE(good);
    CHECK(CgroupTarget::open(fs, good));
  }
  for (const char* bad : {"", "/", "/../job", "/job/..", "/nowhere", "/sys/fs/cgroup/unified"}) {
    CAPTURE(bad);
    CHECK_FALSE(CgroupTarget::open(fs, bad));
  }
}

TEST_CASE("forks are stopped by pids.max and the limit comes back") {
  const TempTree root;
  record(root, "", "populated 0\nfrozen 1\n");
  root.write(in_group("pids.max"), "500\n");
  root.write(in_group("cgroup.kill"), "");
  const HostFs fs = std::move(*HostFs::open(root.path()));
  Result<CgroupTarget> group = CgroupTarget::open(fs, "/job");
  kill::Signaller signaller(fs, 0);
  CHECK(group->end_at_once(signaller));
  CHECK(group->method() == "cgroup.kill");
  CHECK(fs.read_file(in_group("cgroup.kill"))->front() == '1');
  CHECK(fs.read_file(in_group("pids.max"))->front() == '0');
  group->let_go();
  CHECK(*fs.read_file(in_group("pids.max")) == "500");
}
