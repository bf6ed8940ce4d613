#include "gpuctl/cgroup/sampler.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

#include "gpuctl/cgroup/json.hpp"
#include "support/child.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using cgroup::Field;
using cgroup::Group;
using cgroup::OneSample;
using cgroup::Sample;
using cgroup::Sampler;
using cgroup::Usage;

namespace {

constexpr const char* kMounts = "33 27 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

struct Machine {
  Machine() { tree.write("proc/self/mountinfo", kMounts); }
  void set(const std::string& file, const std::string& text) {
    tree.write("sys/fs/cgroup" + file, text + "\n");
  }
  void add_group(const std::string& path) { set(path + "/cgroup.procs", ""); }
  HostFs fs() const { return *HostFs::open(tree.path()); }

  gpuctl::testing::TempTree tree;
};

}  // namespace

TEST_CASE("several cgroups in one call; what is missing is unknown, never 0") {
  Machine machine;
  machine.add_group("/a");
  machine.set("/a/memory.current", "4096");
  machine.set("/a/cpu.stat", "usage_usec 7\nuser_usec 3\nsystem_usec 4");
  machine.add_group("/b");
  machine.set("/b/pids.current", "0");
  const HostFs fs = machine.fs();
  Sampler sampler;
  const std::size_t a = sampler.add(fs, *Group::at(fs, "/a"));
  const std::size_t b = sampler.add(fs, *Group::at(fs, "/b"));
  const Sample& now = sampler.sample();
  CHECK(now.rows[a].get(Field::memory_current) == 4096);
  CHECK(now.rows[a].get(Field::cpu_usage) == 7);
  CHECK_FALSE(now.rows[a].get(Field::memory_peak));
  CHECK_FALSE(now.rows[a].get(Field::pids_current));
  CHECK(now.rows[b].get(Field::pids_current) == 0);
  CHECK_FALSE(now.rows[b].get(Field::memory_current));
  CHECK_FALSE(now.errors[a]);
  CHECK(now.rows[a].taken_at > 0);
  CHECK(now.rows[a].identity != now.rows[b].identity);
  CHECK(sampler.descriptors() == 5);  // two folders, three files
}

TEST_CASE("kept descriptors see new contents; files that come later are taken up") {
  Machine machine;
  machine.add_group("/a");
  machine.set("/a/memory.current", "1");
  const HostFs fs = machine.fs();
  Sampler sampler;
  sampler.add(fs, *Group::at(fs, "/a"));
  CHECK(sampler.sample().rows[0].get(Field::memory_current) == 1);
  machine.set("/a/memory.current", "2");
  machine.set("/a/pids.current", "9");
  CHECK(sampler.sample().rows[0].get(Field::memory_current) == 2);
  for (int i = 0; i < 256; ++i) static_cast<void>(sampler.sample());
  CHECK(sampler.sample().rows[0].get(Field::pids_current) == 9);
}

TEST_CASE("unreadable, garbage and huge files leave their numbers unknown") {
  Machine machine;
  machine.add_group("/a");
  machine.set("/a/memory.current", "99999999999999999999999999");
  machine.set("/a/memory.peak", "\xff\xfe garbage");
  machine.set("/a/cpu.stat", std::string(300'000, 'x'));
  machine.set("/a/pids.current", "5");
  machine.tree.make_dir("sys/fs/cgroup/a/io.stat");
  machine.tree.link("/etc/passwd", "sys/fs/cgroup/a/memory.swap.current");
  const HostFs fs = machine.fs();
  const OneSample once = cgroup::sample_once(fs, *Group::at(fs, "/a"));
  CHECK_FALSE(once.error);
  CHECK(once.usage.get(Field::pids_current) == 5);
  for (const Field each : {Field::memory_current, Field::memory_peak, Field::cpu_usage,
                           Field::io_read, Field::swap_current})
    CHECK_FALSE(once.usage.get(each));
}

TEST_CASE("a file that may go on behind the buffer is no half answer") {
  Machine machine;
  machine.add_group("/a");
  std::string devices;
  for (int i = 0; i < 2000; ++i)
    devices += std::to_string(i) + ":0 rbytes=1 wbytes=1 rios=1 wios=1\n";
  const HostFs fs = machine.fs();
  devices.pop_back();
  machine.set("/a/io.stat", devices.substr(0, devices.find("\n1000:")));
  CHECK(cgroup::sample_once(fs, *Group::at(fs, "/a")).usage.get(Field::io_read) == 1000);
  machine.set("/a/io.stat", devices);
  CHECK_FALSE(cgroup::sample_once(fs, *Group::at(fs, "/a")).usage.get(Field::io_read));
}

TEST_CASE("hybrid: v1's numbers where v1 has the controller, pressure from v2") {
  gpuctl::testing::TempTree tree;
  tree.write("proc/7/cgroup", "4:memory:/m\n3:cpuacct:/c\n0::/u\n");
  tree.write("proc/self/mountinfo",
             "32 31 0:29 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
             "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
             "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  tree.write("sys/fs/cgroup/unified/u/memory.current", "1\n");  // none of the kernel's: v1 has it
  tree.write("sys/fs/cgroup/unified/u/cpu.pressure", "some avg10=1.50 avg60=0 avg300=0 total=8\n");
  tree.write("sys/fs/cgroup/memory/m/memory.usage_in_bytes", "77\n");
  tree.write("sys/fs/cgroup/cpuacct/c/cpuacct.usage", "5000\n");
  const HostFs fs = *HostFs::open(tree.path());
  const Usage usage = cgroup::sample_once(fs, *Group::of_process(fs, 7)).usage;
  CHECK(usage.get(Field::memory_current) == 77);
  CHECK(usage.get(Field::cpu_usage) == 5);
  CHECK(*usage.percent(Field::cpu_some_avg10) == doctest::Approx(1.5));
}

TEST_CASE("no directory: an error that says why") {
  gpuctl::testing::TempTree tree;
  tree.write("proc/7/cgroup", "0::/u\n");
  const HostFs fs = *HostFs::open(tree.path());
  const OneSample once = cgroup::sample_once(fs, *Group::of_process(fs, 7));
  REQUIRE(once.error);
  CHECK(once.error->code == ErrorCode::unavailable);
  CHECK(once.usage.known == 0);
}

TEST_CASE("no descriptors left: an error, and the next sample is whole again") {
  Machine machine;
  machine.add_group("/a");
  for (const char* each : {"memory.current", "memory.peak", "pids.current", "pids.peak"})
    machine.set(std::string("/a/") + each, "5");
  const HostFs fs = machine.fs();
  Sampler sampler;
  sampler.add(fs, *Group::at(fs, "/a"));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const int next = ::dup(0);
  ::close(next);
  const rlimit tight{static_cast<rlim_t>(next) + 2, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &tight);
  const std::optional<Error> error = sampler.sample().errors[0];
  ::setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE(error);
  CHECK(error->errno_value == EMFILE);
  CHECK(sampler.sample().rows[0].get(Field::pids_peak) == 5);
}

TEST_CASE("rates: growth per second, none across another cgroup of the same path") {
  Usage before;
  before.taken_at = 1'000'000;
  before.set(Field::cpu_usage, 100);
  Usage after = before;
  after.taken_at = 3'000'000;
  after.set(Field::cpu_usage, 1'000'100);
  CHECK(*cgroup::rate(before, after, Field::cpu_usage) == doctest::Approx(500'000));
  CHECK_FALSE(cgroup::rate(before, before, Field::cpu_usage));
  CHECK_FALSE(cgroup::rate(before, after, Field::io_read));
  CHECK_FALSE(cgroup::rate(after, before, Field::cpu_usage));
  after.identity = 1;
  CHECK_FALSE(cgroup::rate(before, after, Field::cpu_usage));
}

TEST_CASE("a process tree: its memory, threads and CPU time, also of children that ended") {
  const HostFs fs = *HostFs::open("/");
  const gpuctl::testing::Child child([] {
    const pid_t burner = ::fork();
    if (burner == 0) {
      const clock_t end = ::clock() + CLOCKS_PER_SEC / 5;
      while (::clock() < end) continue;
      ::_exit(0);
    }
    ::waitpid(burner, nullptr, 0);
    std::vector<char> memory(16U << 20, 'x');
    ::pause();
  });
  OneSample sample;
  for (int i = 0; i < 500; ++i) {
    sample = cgroup::sample_processes(fs, child.pid());
    const bool alone = sample.usage.get(Field::pids_current).value_or(0) == 1;
    const bool worked = sample.usage.get(Field::cpu_usage).value_or(0) >= 150'000;
    if (alone && worked && sample.usage.get(Field::memory_anon).value_or(0) >= 16U << 20) break;
    ::usleep(20'000);
  }
  REQUIRE_FALSE(sample.error);
  CHECK(sample.usage.get(Field::memory_current).value_or(0) >= 16U << 20);
  CHECK(sample.usage.get(Field::cpu_usage).value_or(0) >= 150'000);
  CHECK(sample.usage.get(Field::pids_current) == 1);
  CHECK_FALSE(sample.usage.get(Field::memory_peak));
  CHECK_FALSE(sample.usage.get(Field::event_oom_kill));
}

TEST_CASE("a sum in which one process may not be read is unknown") {
  gpuctl::testing::TempTree tree;
  tree.write("proc/7/stat", "7 (x) S 1 7 7 0 -1 0 0 0 0 0 100 50 30 20 20 0 3 0 5 0 0\n");
  tree.write("proc/7/io", "read_bytes: 5\nwrite_bytes: 6\n");
  const HostFs fs = *HostFs::open(tree.path());
  const OneSample sample = cgroup::sample_processes(fs, 7);
  CHECK(sample.usage.get(Field::cpu_usage) == 2'000'000);
  CHECK(sample.usage.get(Field::cpu_system) == 700'000);
  CHECK(sample.usage.get(Field::pids_current) == 3);
  CHECK(sample.usage.get(Field::io_write) == 6);
  CHECK(cgroup::sample_processes(fs, 8).error->code == ErrorCode::not_found);
}

TEST_CASE("JSON: every group of the table, null for what is unknown") {
  OneSample sample;
  sample.usage.set(Field::cpu_usage, 5);
  sample.usage.set_percent(Field::cpu_some_avg10, 1.25);
  const Json json = cgroup::usage_json(sample, "cgroup");
  CHECK(json["cpu"]["usage_usec"] == 5);
  CHECK(json["cpu"]["user_usec"].is_null());
  CHECK(json["pressure"]["cpu_some_avg10_percent"] == 1.25);
  CHECK(json["events_local"]["oom_kill"].is_null());
  CHECK(json["io"]["devices"].is_null());
}
