#include "gpuctl/proc/tree.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/proc/identity.hpp"
#include "gpuctl/proc/json.hpp"
#include "gpuctl/proc/walk.hpp"
#include "support/child.hpp"
#include "support/doing_without.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::DoingWithout;
using gpuctl::testing::TempTree;
using proc::FoundBy;

namespace {

const HostFs& live() {
  static const HostFs fs = std::move(*HostFs::open("/"));
  return fs;
}

proc::Stat stat_of(pid_t pid, pid_t ppid, std::uint64_t start_ticks = 5) {
  proc::Stat stat;
  stat.pid = pid;
  stat.ppid = ppid;
  stat.start_ticks = start_ticks;
  stat.threads = 1;
  stat.state = 'S';
  return stat;
}

const proc::TreeMember* member_of(const proc::Tree& tree, pid_t pid) {
  const auto found = std::find_if(tree.members.begin(), tree.members.end(),
                                  [&](const auto& each) { return each.stat.pid == pid; });
  return found == tree.members.end() ? nullptr : &*found;
}

// "1:0 2:1 3:1": pid and depth of each, in their order.
std::string shape(const proc::Tree& tree) {
  std::string text;
  for (const proc::TreeMember& each : tree.members) {
    text += (text.empty() ? "" : " ") + std::to_string(each.stat.pid) + ":" +
            std::to_string(each.depth);
  }
  return text;
}

std::string stat_line(int pid, int ppid) {
  const std::string id = std::to_string(pid);
  return id + " (p" + id + ") S " + std::to_string(ppid) +
         " 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
         "0 0 0 0 0 0 0\n";
}

struct Recording {
  TempTree tree;
  HostFs fs = std::move(*HostFs::open(tree.path()));

  void process(int pid, int ppid) const {
    tree.write("proc/" + std::to_string(pid) + "/stat", stat_line(pid, ppid));
  }
};

}  // namespace

TEST_CASE("parents come before children, siblings by age, strangers' children as roots") {
  const Recording recording;
  proc::TreeBuilder builder(recording.fs);
  for (const auto& stat : {stat_of(30, 20, 9), stat_of(20, 10, 3), stat_of(40, 10, 2),
                           stat_of(10, 1, 1), stat_of(50, 7, 4), stat_of(60, 50, 5)})
    builder.add(stat, FoundBy::kinship);
  CHECK(shape(builder.finish()) == "10:0 40:1 20:1 30:2 50:0 60:1");
  CHECK(builder.empty());
  CHECK(builder.finish().members.empty());
}

TEST_CASE("a process that was found twice is there once, with both ways") {
  const Recording recording;
  proc::TreeBuilder builder(recording.fs);
  builder.add(stat_of(10, 1), FoundBy::marker);
  builder.add(stat_of(10, 1), FoundBy::kinship);
  const proc::Tree tree = builder.finish();
  REQUIRE(tree.members.size() == 1);
  CHECK(tree.members[0].found_by == std::set<FoundBy>{FoundBy::kinship, FoundBy::marker});
}

TEST_CASE("circles of reused numbers lose nobody and end") {
  const Recording recording;
  proc::TreeBuilder builder(recording.fs);
  for (const auto& stat : {stat_of(10, 11), stat_of(11, 10), stat_of(12, 11), stat_of(5, 5),
                           stat_of(7, 0), stat_of(8, 7)})
    builder.add(stat, FoundBy::kinship);
  const proc::Tree tree = builder.finish();
  CHECK(tree.members.size() == 6);
  CHECK(member_of(tree, 12)->depth > 0);
  CHECK(member_of(tree, 8)->depth == 1);
}

TEST_CASE("a chain of ten thousand processes") {
  const Recording recording;
  proc::TreeBuilder builder(recording.fs);
  for (pid_t pid = 1; pid <= 10'000; ++pid) builder.add(stat_of(pid, pid - 1), FoundBy::kinship);
  const proc::Tree tree = builder.finish();
  REQUIRE(tree.members.size() == 10'000);
  CHECK(tree.members.back().depth == 9'999);
}

TEST_CASE("a live tree: with children files, and by a scan of all where there are none") {
  for (const char* kind : {"", "children", "pidfd,children", "foreign_proc"}) {
    CAPTURE(kind);
    const DoingWithout older(kind);
    int told[2];
    REQUIRE(::pipe(told) == 0);
    const Child parent([&] {
      const pid_t grandchild = ::fork();
      if (grandchild == 0) ::alarm(60);
      if (grandchild != 0 && ::write(told[1], &grandchild, sizeof grandchild) < 0) return;
      ::pause();
    });
    pid_t grandchild = 0;
    REQUIRE(::read(told[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    const proc::Tree tree = *proc::tree_of_process(live(), parent.pid());
    CHECK(shape(tree) == std::to_string(parent.pid()) + ":0 " + std::to_string(grandchild) + ":1");
    CHECK(tree.members[0].found_by == std::set<FoundBy>{FoundBy::root});
    CHECK(tree.members[1].uid == ::geteuid());
    CHECK(tree.members[1].gpu_nodes == std::vector<std::string>());
    CHECK(tree.problems.empty());
    ::kill(grandchild, SIGKILL);
    ::close(told[0]);
    ::close(told[1]);
  }
}

TEST_CASE("who is no process has no tree") {
  CHECK(proc::tree_of_process(live(), 0x7fffffff).error().code == ErrorCode::not_found);
  const TempTree empty;
  CHECK_FALSE(proc::tree_of_process(*HostFs::open(empty.path()), 1));
}

TEST_CASE("members of a session") {
  const Child leader([] {
    if (::setsid() > 0 && ::fork() == 0) ::alarm(60);
    ::pause();
  });
  std::vector<proc::Stat> found;
  for (int i = 0; i < 2000 && found.size() < 2; ++i) {
    ::usleep(1000);
    found = proc::in_session(live(), leader.pid());
  }
  REQUIRE(found.size() == 2);
  for (const proc::Stat& each : found) {
    CHECK(each.session == leader.pid());
    if (each.pid != leader.pid()) ::kill(each.pid, SIGKILL);
  }
}

TEST_CASE("members of a pid namespace") {
  const std::uint64_t own = *proc::read_namespace(live(), ::getpid(), "pid");
  const auto has_self = [](const std::vector<proc::Stat>& all) {
    return std::any_of(all.begin(), all.end(),
                       [](const proc::Stat& each) { return each.pid == ::getpid(); });
  };
  CHECK(has_self(proc::in_pid_namespace(live(), own, ::geteuid())));
  CHECK(has_self(proc::in_pid_namespace(live(), own, std::nullopt)));
  CHECK_FALSE(has_self(proc::in_pid_namespace(live(), own, ::geteuid() + 1)));
  CHECK(proc::in_pid_namespace(live(), own + 1, std::nullopt).empty());
}

TEST_CASE("the mark is asked for together with user and start time") {
  const std::string mark = "ALIEN_PROC_ID=" + std::to_string(::getpid());
  const Child child([&] {
    const char* arguments[] = {"sleep", "30", nullptr};
    const char* environment[] = {mark.c_str(), nullptr};
    ::execve("/bin/sleep", const_cast<char**>(arguments), const_cast<char**>(environment));
  });
  std::vector<proc::Stat> found;
  for (int i = 0; i < 2000 && found.empty(); ++i) {
    ::usleep(1000);
    found = proc::marked(live(), mark, 0, ::geteuid());
  }
  REQUIRE(found.size() == 1);
  CHECK(proc::marked(live(), mark, 0, ::geteuid() + 1).empty());
  CHECK(proc::marked(live(), mark, found[0].start_ticks + 1, ::geteuid()).empty());
}

TEST_CASE("members of a cgroup and of those below it") {
  const Recording recording;
  for (const int pid : {5, 6, 7, 8}) recording.process(pid, 1);
  const std::string base = "sys/fs/cgroup/";
  recording.tree.write(base + "cgroup.procs", "1\n");
  recording.tree.write(base + "job/cgroup.procs", "5\n0\n5\n");
  recording.tree.write(base + "job/memory.max", "max\n");
  recording.tree.write(base + "job/a b/cgroup.procs", "6\n99\nx\n-7\n");
  recording.tree.write(base + "job/a b/deep:er/cgroup.procs", "7\n");
  recording.tree.make_dir(base + "job/no cgroup");
  recording.tree.write(base + "other/cgroup.procs", "8\n");
  const auto pids = [&](const std::string& path) {
    std::string text;
    const std::vector<proc::Stat> found = *proc::in_cgroup(recording.fs, path);
    for (const proc::Stat& each : found)
      text += (text.empty() ? "" : " ") + std::to_string(each.pid);
    return text;
  };
  CHECK(pids("/job") == "5 6 7");
  CHECK(pids("/job/") == "5 6 7");
  CHECK(pids("/sys/fs/cgroup/job") == "5 6 7");
  CHECK(pids("/job/a b/deep:er") == "7");
  CHECK(pids("/") == "5 6 7 8");
  const proc::Tree tree = *proc::tree_of_cgroup(recording.fs, "/job");
  CHECK(tree.members.size() == 3);
  CHECK(tree.members[0].found_by == std::set<FoundBy>{FoundBy::cgroup});
  for (const char* none : {"/nope", "/job/memory.max", "/job/no cgroup"}) {
    CAPTURE(none);
    CHECK_FALSE(proc::in_cgroup(recording.fs, none));
  }
  for (const char* bad : {"", "job", "/..", "/job/../other", "/job/.."}) {
    CAPTURE(bad);
    REQUIRE_FALSE(proc::in_cgroup(recording.fs, bad));
    CHECK(proc::in_cgroup(recording.fs, bad).error().code == ErrorCode::usage);
  }
}

TEST_CASE("beside the hierarchies of v1 a path is one of the unified") {
  const Recording recording;
  recording.process(5, 1);
  recording.process(6, 1);
  recording.tree.write("sys/fs/cgroup/unified/job/cgroup.procs", "5\n");
  recording.tree.write("sys/fs/cgroup/memory/job/cgroup.procs", "6\n");
  CHECK(proc::in_cgroup(recording.fs, "/job")->at(0).pid == 5);
  CHECK(proc::in_cgroup(recording.fs, "/sys/fs/cgroup/memory/job")->at(0).pid == 6);
}

TEST_CASE("device nodes are known by their names") {
  const TempTree tree;
  for (const char* name : {"nvidia0", "nvidiactl", "nvidia-uvm", "kfd", "dri/card1",
                           "dri/renderD128", "nvidia-caps/nvidia-cap1", "null", "dri/by-path"})
    tree.write(std::string("dev/") + name, "");
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  std::string paths;
  for (const proc::DeviceNode& node : proc::gpu_nodes(fs)) paths += node.path + " ";
  CHECK(paths ==
        "/dev/dri/card1 /dev/dri/renderD128 /dev/kfd /dev/nvidia-caps/nvidia-cap1 "
        "/dev/nvidia-uvm /dev/nvidia0 /dev/nvidiactl ");
  const TempTree none;
  CHECK(proc::gpu_nodes(*HostFs::open(none.path())).empty());
}

TEST_CASE("in a recording the links of descriptors tell which nodes are open") {
  const Recording recording;
  recording.tree.write("dev/nvidia0", "");
  recording.tree.link("/dev/nvidia0", "proc/5/fd/3");
  recording.tree.link("/dev/nvidia0", "proc/5/fd/4");
  recording.tree.link("/dev/null", "proc/5/fd/0");
  recording.tree.link("socket:[12]", "proc/5/fd/7");
  recording.tree.make_dir("proc/6/fd");
  const proc::OpenNodes holders(recording.fs, proc::gpu_nodes(recording.fs));
  CHECK(*holders.of(5) == std::vector<std::string>{"/dev/nvidia0"});
  CHECK(holders.of(6)->empty());
  CHECK_FALSE(holders.of(7));
}

TEST_CASE("a node is held by whoever opened that file, or another of the same number") {
  const TempTree tree;
  tree.make_dir("dev");
  const bool made =
      ::mknod(tree.path("dev/nvidia0").c_str(), S_IFCHR | 0666, ::makedev(1, 3)) == 0 &&
      ::mknod(tree.path("dev/nvidia1").c_str(), S_IFCHR | 0666, ::makedev(5, 2)) == 0;
  if (!made) return;  // only root can make device nodes
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  const proc::OpenNodes holders(live(), proc::gpu_nodes(fs));
  const auto held_by_child = [&](const std::string& path) {
    const Child child([&] {
      if (::open(path.c_str(), O_RDWR | O_NOCTTY) >= 0) ::prctl(PR_SET_NAME, "opened");
      ::pause();
    });
    for (int i = 0; i < 2000 && proc::read_stat(live(), child.pid())->name != "opened"; ++i)
      ::usleep(1000);
    return *holders.of(child.pid());
  };
  CHECK(held_by_child(tree.path("dev/nvidia0")) == std::vector<std::string>{"/dev/nvidia0"});
  CHECK(held_by_child("/dev/null").empty());
  CHECK(held_by_child("/dev/ptmx") == std::vector<std::string>{"/dev/nvidia1"});
}

TEST_CASE("what may not be read is unknown and a problem") {
  if (::geteuid() != 0) return;  // who is no user's process can only be asked from below root
  const pid_t root_process = ::getpid();
  const Child child([&] {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(7);
    const proc::Tree tree = *proc::tree_of_process(live(), root_process);
    const proc::TreeMember& top = tree.members.front();
    if (top.gpu_nodes || top.uid != uid_t{0} || tree.problems.size() != 1) ::_exit(8);
    ::_exit(0);
  });
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT);
  CHECK(info.si_status == 0);
}

TEST_CASE("the JSON has every key, and null for what is not known") {
  const Recording recording;
  recording.process(5, 1);
  recording.tree.write("proc/stat", "cpu 1 2\nbtime 1000000000\nprocesses 5\n");
  proc::TreeBuilder builder(recording.fs);
  builder.add(*proc::read_stat(recording.fs, 5), FoundBy::root);
  const Json json = proc::to_json(builder.finish(), "pid", "5");
  const Json& row = json["processes"][0];
  CHECK(row["name"] == "p5");
  CHECK(row["start_ticks"] == 100);
  CHECK(row["started_at"].get<std::string>().substr(0, 16) == "2001-09-09T01:46");
  CHECK(row["gpu_nodes"].is_null());
  CHECK(row["found_by"] == Json::array({"root"}));
  CHECK(json["of"]["value"] == "5");
}
