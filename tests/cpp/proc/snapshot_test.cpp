#include "gpuctl/proc/snapshot.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "../../../cpp/proc/columns.hpp"
#include "gpuctl/proc/stat.hpp"
#include "support/child.hpp"
#include "support/doing_without.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::Child;
using gpuctl::testing::DoingWithout;
using gpuctl::testing::TempTree;

namespace {

const HostFs& live() {
  static const HostFs fs = std::move(*HostFs::open("/"));
  return fs;
}

const proc::Row* row_of(const proc::Snapshot& snapshot, pid_t pid) {
  const auto found = std::find_if(snapshot.rows.begin(), snapshot.rows.end(),
                                  [&](const proc::Row& row) { return row.pid == pid; });
  return found == snapshot.rows.end() ? nullptr : &*found;
}

std::string name_in(const proc::Snapshot& snapshot, pid_t pid) {
  const proc::Row* row = row_of(snapshot, pid);
  if (row == nullptr) return "nobody";
  return {row->name, ::strnlen(row->name, sizeof row->name)};
}

std::string stat_line(int pid, const std::string& name) {
  return std::to_string(pid) + " (" + name +
         ") S 1 5 6 0 -1 64 0 0 0 0 3 4 0 0 20 0 2 0 100 0 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
         "0 0 0 0 0 0 0 0 0\n";
}

// As many descriptors as are open now and `more`, for one test.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t more) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::dup(0);
    ::close(next);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(next) + more;
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

void execute(const char* mark) {
  const char* arguments[] = {"sleep", "30", nullptr};
  const char* environment[] = {"A=1", mark, nullptr};
  ::execve("/bin/sleep", const_cast<char**>(arguments), const_cast<char**>(environment));
}

}  // namespace

TEST_CASE("the snapshot has everybody, each once, by number") {
  const Child child;
  const Result<proc::Snapshot> all = proc::take_snapshot(live(), {});
  REQUIRE(all);
  const auto ascending = [](const proc::Row& a, const proc::Row& b) { return a.pid < b.pid; };
  CHECK(std::is_sorted(all->rows.begin(), all->rows.end(), ascending));
  const proc::Row* self = row_of(*all, ::getpid());
  const proc::Row* row = row_of(*all, child.pid());
  REQUIRE(self != nullptr);
  REQUIRE(row != nullptr);
  CHECK(row->ppid == ::getpid());
  CHECK(row->pgid == ::getpgid(child.pid()));
  CHECK(row->sid == ::getsid(child.pid()));
  CHECK(row->uid == ::geteuid());
  CHECK(row->threads == 1);
  CHECK(row->start_ticks == proc::read_stat(live(), child.pid())->start_ticks);
  CHECK(self->rss_bytes >= 65536);
  CHECK(row->known == 0);
}

TEST_CASE("a row holds what the line says, and names of any bytes and length") {
  const TempTree tree;
  tree.write("proc/5/stat", stat_line(5, "x) Z 1 (\n"));
  tree.write("proc/12/stat", stat_line(12, std::string(70, 'k')));
  tree.write("proc/13/stat", stat_line(13, ""));
  tree.write("proc/14/stat", "garbage");
  tree.write("proc/015/stat", stat_line(15, "octal"));
  tree.write("proc/16x/stat", stat_line(16, "no number"));
  tree.write("proc/99999999999/stat", stat_line(17, "too large"));
  tree.make_dir("proc/18");
  tree.link("/proc/1", "proc/19");
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  const Result<proc::Snapshot> all = proc::take_snapshot(fs, {});
  REQUIRE(all);
  REQUIRE(all->rows.size() == 3);
  const proc::Row& row = all->rows[0];
  CHECK(std::string(row.name) == "x) Z 1 (\n");
  CHECK((row.pid == 5 && row.ppid == 1 && row.pgid == 5 && row.sid == 6));
  CHECK((row.flags == 64 && row.threads == 2 && row.start_ticks == 100));
  CHECK(row.utime_usec * 4 == row.stime_usec * 3);
  CHECK(row.rss_bytes == 7 * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  CHECK(std::string(all->rows[1].name, sizeof row.name) == std::string(64, 'k'));
  CHECK(std::string(all->rows[2].name).empty());
}

TEST_CASE("no /proc is an error, an empty one an answer") {
  const TempTree tree;
  CHECK_FALSE(proc::take_snapshot(*HostFs::open(tree.path()), {}));
  tree.make_dir("proc");
  CHECK(proc::take_snapshot(*HostFs::open(tree.path()), {})->rows.empty());
}

TEST_CASE("optional columns are read where they can be, and say so") {
  const std::string mark = "GPUCTL_SNAPSHOT_TEST=" + std::to_string(::getpid());
  const Child child([&] { execute(mark.c_str()); });
  proc::SnapshotOptions options{true, true, true, "GPUCTL_SNAPSHOT_TEST", std::nullopt};
  proc::Snapshot all = *proc::take_snapshot(live(), options);
  for (int i = 0; i < 2000 && row_of(all, child.pid())->marker < 0; ++i) {
    ::usleep(1000);
    all = *proc::take_snapshot(live(), options);
  }
  const proc::Row* row = row_of(all, child.pid());
  CHECK(row->known == (proc::kKnowsCgroup | proc::kKnowsMarker | proc::kKnowsPss | proc::kKnowsIo));
  CHECK(all.markers[static_cast<std::size_t>(row->marker)] == std::to_string(::getpid()));
  CHECK(all.cgroups[static_cast<std::size_t>(row->cgroup)].front() == '/');
  CHECK(row->pss_bytes > 0);
  CHECK(row->pss_bytes <= row->rss_bytes + (std::uint64_t{1} << 20));
  const proc::Row* self = row_of(all, ::getpid());
  CHECK(self->marker == -1);
  CHECK((self->known & proc::kKnowsMarker) != 0);
  options.marker = "GPUCTL_SNAPSHOT";  // a beginning of the name is not the name
  CHECK(row_of(*proc::take_snapshot(live(), options), child.pid())->marker == -1);
}

TEST_CASE("one user's processes") {
  proc::SnapshotOptions options;
  options.uid = ::geteuid();
  const Result<proc::Snapshot> own = proc::take_snapshot(live(), options);
  REQUIRE(own);
  CHECK(row_of(*own, ::getpid()) != nullptr);
  for (const proc::Row& row : own->rows) CHECK(row.uid == ::geteuid());
  options.uid = 3999999999U;
  CHECK(proc::take_snapshot(live(), options)->rows.empty());
  proc::Sampler sampler = std::move(*proc::Sampler::open(live(), options, 10));
  CHECK(sampler.sample()->rows.empty());
  CHECK(sampler.descriptors() == 0);
}

TEST_CASE("hidepid: who is not ours is not there") {
  const DoingWithout hidden("foreign_proc");
  const proc::Snapshot all = *proc::take_snapshot(live(), {});
  CHECK(row_of(all, ::getpid()) != nullptr);
  for (const proc::Row& row : all.rows) CHECK(row.uid == ::geteuid());
}

TEST_CASE("samples follow births, deaths and reuse of numbers") {
  Result<proc::Sampler> sampler = proc::Sampler::open(live(), {}, 10'000);
  REQUIRE(sampler);
  Child first;
  const Result<proc::Snapshot> before = sampler->sample();
  REQUIRE(row_of(*before, first.pid()) != nullptr);
  CHECK(sampler->descriptors() >= before->rows.size());
  const pid_t gone = first.pid();
  ::kill(gone, SIGKILL);
  first.wait_without_reaping();
  CHECK(row_of(*sampler->sample(), gone)->state == 'Z');
  first.wait();
  const Child second([] {
    ::prctl(PR_SET_NAME, "renamed");
    ::pause();
  });
  proc::Snapshot after = *sampler->sample();
  CHECK(row_of(after, gone) == nullptr);
  for (int i = 0; i < 2000 && name_in(after, second.pid()) != "renamed"; ++i) {
    ::usleep(1000);
    after = *sampler->sample();
  }
  CHECK(name_in(after, second.pid()) == "renamed");
}

TEST_CASE("a kept process that became another user's is seen as that within 16 samples") {
  if (::geteuid() != 0) return;  // only root can become somebody
  int go[2];
  REQUIRE(::pipe(go) == 0);
  const Child child([&] {
    char byte = 0;
    if (::read(go[0], &byte, 1) == 1 && ::setresuid(65534, 65534, 65534) == 0) ::pause();
  });
  Result<proc::Sampler> sampler = proc::Sampler::open(live(), {}, 10'000);
  CHECK(row_of(*sampler->sample(), child.pid())->uid == 0);
  REQUIRE(::write(go[1], "x", 1) == 1);
  for (int i = 0; i < 2000 && row_of(*proc::take_snapshot(live(), {}), child.pid())->uid == 0; ++i)
    ::usleep(1000);
  bool seen = false;
  for (int i = 0; i < 16; ++i) seen = seen || row_of(*sampler->sample(), child.pid())->uid == 65534;
  CHECK(seen);
  ::close(go[0]);
  ::close(go[1]);
}

TEST_CASE("a number that somebody else has now is read afresh") {
  const TempTree tree;
  tree.write("proc/5/stat", stat_line(5, "old"));
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  proc::Sampler sampler = std::move(*proc::Sampler::open(fs, {}, 10));
  CHECK(std::string(sampler.sample()->rows[0].name) == "old");
  tree.write("proc/5/stat", "");  // as a reaped process reads: nothing to parse
  tree.write("proc/6/stat", stat_line(6, "other"));
  const proc::Snapshot next = *sampler.sample();
  REQUIRE(next.rows.size() == 1);
  CHECK(next.rows[0].pid == 6);
}

TEST_CASE("samples and snapshots agree, whatever the number of kept descriptors") {
  const Child child;
  for (const std::size_t budget : {std::size_t{0}, std::size_t{3}, std::size_t{10'000}}) {
    CAPTURE(budget);
    proc::Sampler sampler = std::move(*proc::Sampler::open(live(), {}, budget));
    for (int i = 0; i < 3; ++i) {
      const proc::Snapshot all = *sampler.sample();
      CHECK(sampler.descriptors() <= budget);
      REQUIRE(row_of(all, child.pid()) != nullptr);
      CHECK(row_of(all, child.pid())->ppid == ::getpid());
      CHECK(row_of(all, 1)->uid == row_of(*proc::take_snapshot(live(), {}), 1)->uid);
    }
  }
  CHECK(proc::default_descriptor_budget() > 0);
}

TEST_CASE("without descriptors there is an error, never half an answer") {
  proc::Sampler sampler = std::move(*proc::Sampler::open(live(), {}, 10'000));
  {
    const FewDescriptors few(1);
    CHECK_FALSE(sampler.sample());
    CHECK(sampler.descriptors() == 0);
  }
  CHECK(row_of(*sampler.sample(), ::getpid()) != nullptr);
  const FewDescriptors none(1);
  const Result<proc::Snapshot> all = proc::take_snapshot(live(), {});
  REQUIRE_FALSE(all);
  CHECK(all.error().errno_value == EMFILE);
}

TEST_CASE("a cgroup is the unified one, else the memory controller's; paths may hold colons") {
  using proc::internal::cgroup_in;
  CHECK(*cgroup_in("0::/a/b:c\n") == "/a/b:c");
  CHECK(*cgroup_in("4:memory:/m\n1:name=systemd:/s\n0::/u\n") == "/u");
  CHECK(*cgroup_in("9:cpu:/c\n4:memory:/m\n1:name=systemd:/s\n") == "/m");
  CHECK_FALSE(cgroup_in("9:cpu:/c\n"));
  CHECK_FALSE(cgroup_in(""));
  CHECK_FALSE(cgroup_in("::::\nx\n\n"));
  CHECK_FALSE(cgroup_in("1::/named-without-a-name\n"));
}

TEST_CASE("numbers and variables of kernel texts") {
  using proc::internal::number_behind;
  using proc::internal::variable_in;
  CHECK(*number_behind("Rss:  12 kB\nPss:    7 kB\nPss_Anon: 3 kB\n", "Pss:") == 7);
  CHECK_FALSE(number_behind("Pss: kB\n", "Pss:"));
  CHECK_FALSE(number_behind("", "Pss:"));
  CHECK_FALSE(number_behind("Pss:", "Pss:"));
  CHECK_FALSE(number_behind("cancelled_write_bytes: 5\n", "write_bytes:"));
  using namespace std::string_view_literals;
  CHECK(*variable_in("A=1\0MARK=x=y\0"sv, "MARK") == "x=y");
  CHECK(variable_in("MARK=\0"sv, "MARK")->empty());
  CHECK_FALSE(variable_in("XMARK=1\0MARK\0"sv, "MARK"));
  CHECK_FALSE(variable_in(""sv, "MARK"));
  CHECK_FALSE(variable_in("\0\0\0"sv, "MARK"));
}
