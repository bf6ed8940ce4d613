#include "gpuctl/cgroup/group.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using cgroup::Found;
using cgroup::Group;
using cgroup::SlotKind;

namespace {

constexpr const char* kUnified =
    "33 27 0:27 / /sys/fs/cgroup rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate\n";

// A machine in which process 7 says `cgroup`, with `mounts` as its mountinfo.
struct Machine {
  Machine(const std::string& cgroup, const std::string& mounts) {
    tree.write("proc/7/cgroup", cgroup);
    tree.write("proc/self/mountinfo", mounts);
  }
  void add_group(const std::string& directory, const std::string& procs = "") {
    tree.write(directory + "/cgroup.procs", procs);
    tree.write(directory + "/cgroup.events", "populated 1\nfrozen 0\n");
  }
  void add_root(const std::string& directory) { tree.write(directory + "/cgroup.procs", ""); }
  Result<Group> group() { return Group::of_process(*HostFs::open(tree.path()), 7); }

  gpuctl::testing::TempTree tree;
};

}  // namespace

TEST_CASE("unified: mount point and path, confirmed by the pid in it, `:` in names") {
  Machine machine("0::/user.slice/a:b.scope\n", kUnified);
  machine.add_group("sys/fs/cgroup/user.slice/a:b.scope", "7\n");
  const Result<Group> group = machine.group();
  REQUIRE(group);
  CHECK(group->version() == "v2");
  CHECK(group->path() == "/user.slice/a:b.scope");
  CHECK(group->main().found == Found::mount);
  CHECK(group->main().directory == "/sys/fs/cgroup/user.slice/a:b.scope");
  CHECK(group->main().dir->exists("cgroup.events"));
  CHECK(group->main().confirmed == true);
  CHECK(group->slot().kind == SlotKind::scope);
  CHECK(group->branch("memory") == &group->main());
}

TEST_CASE("a process that is not in the directory's cgroup.procs is told") {
  Machine machine("0::/a\n", kUnified);
  machine.add_group("sys/fs/cgroup/a", "17\n70\n");
  CHECK(machine.group()->main().confirmed == false);
}

TEST_CASE("hybrid: each controller in its own hierarchy") {
  Machine machine("9:name=systemd:/x\n4:memory:/m\n1:cpu,cpuacct:/c\n0::/u\n",
                  "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                  "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                  "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
                  "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  machine.add_group("sys/fs/cgroup/unified/u");
  machine.add_group("sys/fs/cgroup/memory/m");
  machine.add_group("sys/fs/cgroup/cpu,cpuacct/c");
  const Result<Group> group = machine.group();
  REQUIRE(group);
  CHECK(group->version() == "hybrid");
  CHECK(group->path() == "/u");
  CHECK(group->main().directory == "/sys/fs/cgroup/unified/u");
  CHECK(group->branch("memory")->directory == "/sys/fs/cgroup/memory/m");
  CHECK(group->branch("cpuacct")->directory == "/sys/fs/cgroup/cpu,cpuacct/c");
  CHECK(group->branch("pids") == &group->main());
  CHECK(group->branches().size() == 3);
}

TEST_CASE("v1: the memory controller's cgroup is the one that is meant") {
  Machine machine("9:cpu,cpuacct:/c\n5:memory:/slurm/uid_1/job_3/step_0\n1:name=systemd:/s",
                  "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  machine.add_group("sys/fs/cgroup/memory/slurm/uid_1/job_3/step_0");
  const Result<Group> group = machine.group();
  REQUIRE(group);
  CHECK(group->version() == "v1");
  CHECK(group->path() == "/slurm/uid_1/job_3/step_0");
  CHECK(group->slot().kind == SlotKind::slurm);
  CHECK(group->slot().path == "/slurm/uid_1/job_3");
  CHECK(group->branch("cpu")->found == Found::not_mounted);
  CHECK(group->branch("pids") == nullptr);
}

TEST_CASE("a container's mount begins at its own cgroup") {
  Machine machine("0::/docker/abc/job\n",
                  "33 27 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
  machine.add_group("sys/fs/cgroup/job", "7");
  const Result<Group> group = machine.group();
  REQUIRE(group);
  CHECK(group->main().found == Found::mount_root);
  CHECK(group->main().directory == "/sys/fs/cgroup/job");
  CHECK(group->slot().kind == SlotKind::container);
  CHECK(group->slot().path == "/docker/abc");
}

TEST_CASE("what is not below the mount's root is not below its point either") {
  Machine machine("0::/docker/abcd\n",
                  "33 27 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
  machine.add_group("sys/fs/cgroup/d", "7");
  const Result<Group> group = machine.group();
  CHECK(group->main().found == Found::outside_mount);
  CHECK_FALSE(group->has_directory());
}

TEST_CASE("a mount wider than our cgroup namespace: found by the pid, never its root") {
  Machine machine("0::/\n", "33 27 0:27 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  machine.add_root("sys/fs/cgroup");
  machine.add_group("sys/fs/cgroup/a");
  machine.add_group("sys/fs/cgroup/a/b", "8\n");
  machine.add_group("sys/fs/cgroup/a/c", "7\n");
  const Result<Group> group = machine.group();
  CHECK(group->main().found == Found::search);
  CHECK(group->main().directory == "/sys/fs/cgroup/a/c");
  CHECK(group->main().confirmed == true);
}

TEST_CASE("the same where the pid is nowhere: no directory, rather than a wrong one") {
  Machine machine("0::/\n", "33 27 0:27 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  machine.add_root("sys/fs/cgroup");
  machine.add_group("sys/fs/cgroup/a", "8\n");
  CHECK(machine.group()->main().found == Found::outside_mount);
  CHECK_FALSE(machine.group()->has_directory());
}

TEST_CASE("a process outside our cgroup namespace has a path that is not followed") {
  Machine machine("0::/../other\n", kUnified);
  machine.add_group("sys/fs/other", "7\n");
  machine.add_group("sys/fs/cgroup/other", "7\n");
  CHECK(machine.group()->main().found == Found::outside_namespace);
  CHECK_FALSE(machine.group()->has_directory());
}

TEST_CASE("a removed cgroup is told, also when there is a new one of its name") {
  Machine machine("0::/a (deleted)\n", kUnified);
  machine.add_root("sys/fs/cgroup");
  machine.add_group("sys/fs/cgroup/a", "8\n");
  const Result<Group> group = machine.group();
  CHECK(group->main().found == Found::deleted);
  CHECK(group->path() == "/a");
  CHECK_FALSE(group->has_directory());
}

TEST_CASE("a cgroup may be called so") {
  Machine machine("0::/a (deleted)\n", kUnified);
  machine.add_group("sys/fs/cgroup/a (deleted)", "7\n");
  CHECK(machine.group()->main().found == Found::mount);
  CHECK(machine.group()->path() == "/a (deleted)");
}

TEST_CASE("blanks in mount points are escaped in mountinfo") {
  Machine machine("0::/a\n", "33 27 0:27 / /sys/my\\040cgroups rw - cgroup2 cgroup2 rw\n");
  machine.add_group("sys/my cgroups/a", "7\n");
  CHECK(machine.group()->main().directory == "/sys/my cgroups/a");
}

TEST_CASE("no mountinfo: the usual places; nothing mounted: the path alone") {
  gpuctl::testing::TempTree tree;
  tree.write("proc/7/cgroup", "0::/a\n");
  const HostFs fs = *HostFs::open(tree.path());
  CHECK(Group::of_process(fs, 7)->main().found == Found::not_mounted);
  tree.write("sys/fs/cgroup/cgroup.procs", "");
  tree.write("sys/fs/cgroup/a/cgroup.procs", "7\n");
  CHECK(Group::of_process(fs, 7)->main().found == Found::default_mount);
  CHECK(Group::of_process(fs, 8).error().code == ErrorCode::not_found);
}

TEST_CASE("given paths: of the hierarchy or of the file system, never out of it") {
  Machine machine("0::/a\n", kUnified);
  machine.add_root("sys/fs/cgroup");
  machine.add_group("sys/fs/cgroup/a/b");
  machine.tree.write("sys/fs/cgroup/a/file.d/x", "");
  const HostFs fs = *HostFs::open(machine.tree.path());
  for (const char* path : {"/a/b", "/sys/fs/cgroup/a/b", "/a/b/", "//a//b"}) {
    CAPTURE(path);
    const Result<Group> group = Group::at(fs, path);
    REQUIRE(group);
    CHECK(group->main().dir->exists("cgroup.events"));
  }
  CHECK(Group::at(fs, "/sys/fs/cgroup")->path() == "/");
  CHECK(Group::at(fs, "/")->slot().kind == SlotKind::root);
  for (const char* path : {"", "a/b", "/a/../a/b", "/..", "/a/.."}) {
    CAPTURE(path);
    CHECK(Group::at(fs, path).error().code == ErrorCode::usage);
  }
  CHECK(Group::at(fs, std::string("/a\0/b", 5)).error().code == ErrorCode::usage);
  for (const char* path : {"/none", "/a/file.d", "/sys/fs/cgroup/none", "/proc/7"}) {
    CAPTURE(path);
    CHECK(Group::at(fs, path).error().code == ErrorCode::not_found);
  }
}

TEST_CASE("a directory of one v1 hierarchy is that hierarchy's cgroup alone") {
  Machine machine("0::/\n",
                  "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                  "36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
                  "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  for (const char* each : {"memory", "pids", "unified"})
    machine.add_group(std::string("sys/fs/cgroup/") + each + "/job");
  const HostFs fs = *HostFs::open(machine.tree.path());
  CHECK(Group::at(fs, "/sys/fs/cgroup/memory/job")->branches().size() == 1);
  CHECK(Group::at(fs, "/sys/fs/cgroup/memory/job")->version() == "v1");
  CHECK(Group::at(fs, "/job")->branches().size() == 3);
  CHECK(Group::at(fs, "/job")->version() == "hybrid");
}

TEST_CASE("below a mount point that is known: no mounts are read") {
  Machine machine("0::/\n", "");
  machine.add_group("sys/fs/cgroup/unified/slot/job");
  const HostFs fs = *HostFs::open(machine.tree.path());
  const auto below = [&](const char* directory) {
    return Group::below(fs, "/sys/fs/cgroup/unified", directory);
  };
  REQUIRE(below("/sys/fs/cgroup/unified/slot/job"));
  CHECK(below("/sys/fs/cgroup/unified/slot/job")->path() == "/slot/job");
  CHECK(below("/sys/fs/cgroup/unified/slot/job")->main().is_v2());
  CHECK(below("/sys/fs/cgroup/unified/gone").error().code == ErrorCode::not_found);
  CHECK(below("/sys/fs/cgroup/memory/job").error().code == ErrorCode::usage);
}

TEST_CASE("one branch of our own is the one that all of them give") {
  const HostFs fs = *HostFs::open("/");
  const Result<Group> group = Group::of_self(fs);
  REQUIRE(group);
  for (const char* controller : {"", "memory", "cpuacct"}) {
    const cgroup::Branch* expected = group->branch(controller);
    const Result<cgroup::Branch> branch = cgroup::branch_of_self(fs, controller);
    CHECK(branch.has_value() == (expected != nullptr));
    if (!branch || expected == nullptr) continue;
    CHECK(branch->directory == expected->directory);
    CHECK(branch->confirmed == expected->confirmed);
  }
}

TEST_CASE("this machine's own: as /proc/self/cgroup says, and we are in it") {
  const HostFs fs = *HostFs::open("/");
  const Result<Group> group = Group::of_self(fs);
  REQUIRE(group);
  CHECK(group->pid() == ::getpid());
  if (group->main().dir) CHECK(group->main().confirmed.value_or(true));
}
