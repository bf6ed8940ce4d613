// The scanners, on what kernels write and on what none would.
#include <doctest/doctest.h>

#include <random>

#include "../../../cpp/cgroup/files.hpp"

using namespace gpuctl;
using cgroup::Field;
using cgroup::Usage;
using namespace cgroup::internal;

namespace {

struct Scanned {
  Usage usage;
  std::vector<cgroup::IoDevice> devices;
};

Scanned scanned(Scan scan, std::string_view text) {
  Scanned found;
  scan(text, {found.usage, found.devices});
  return found;
}

}  // namespace

TEST_CASE("cpu.stat, with the keys of newer kernels in between") {
  const Usage usage =
      scanned(scan_cpu_stat,
              "usage_usec 10542262\nuser_usec 1595847\nsystem_usec 8946415\nnice_usec 3\n"
              "nr_periods 10\nnr_throttled 4\nthrottled_usec 900\nnr_bursts 0\n")
          .usage;
  CHECK(usage.get(Field::cpu_usage) == 10542262);
  CHECK(usage.get(Field::cpu_user) == 1595847);
  CHECK(usage.get(Field::cpu_system) == 8946415);
  CHECK(usage.get(Field::cpu_periods) == 10);
  CHECK(usage.get(Field::cpu_throttled_periods) == 4);
  CHECK(usage.get(Field::cpu_throttled) == 900);
}

TEST_CASE("memory.stat: whole keys only; what is not there stays unknown") {
  const Usage usage = scanned(scan_memory_stat,
                              "anon 4096\nfile 8192\nkernel_stack 16384\nfile_mapped 1\n"
                              "anon_thp 7\nshmem 4096\n")
                          .usage;
  CHECK(usage.get(Field::memory_anon) == 4096);
  CHECK(usage.get(Field::memory_file) == 8192);
  CHECK(usage.get(Field::memory_shmem) == 4096);
  CHECK_FALSE(usage.get(Field::memory_kernel));
  CHECK_FALSE(usage.get(Field::memory_current));
}

TEST_CASE("memory.events: oom is not oom_kill") {
  const Usage usage = scanned(scan_memory_events, "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5").usage;
  CHECK(usage.get(Field::event_oom) == 4);
  CHECK(usage.get(Field::event_oom_kill) == 5);
  CHECK_FALSE(usage.get(Field::event_oom_group_kill));
}

TEST_CASE("io.stat: devices and their sums; a device that did nothing, newer keys") {
  const Scanned found =
      scanned(scan_io_stat,
              "254:16 rbytes=1370112 wbytes=0 rios=116 wios=0 dbytes=0 dios=0\n"
              "254:0 rbytes=10 wbytes=20 rios=1 wios=2 cost.usage=5\n7:0\n7:1 \n");
  REQUIRE(found.devices.size() == 4);
  CHECK(found.devices[0].minor == 16);
  CHECK(found.devices[1].write_bytes == 20);
  CHECK(found.usage.get(Field::io_read) == 1370122);
  CHECK(found.usage.get(Field::io_writes) == 2);
  CHECK(scanned(scan_io_stat, "").usage.get(Field::io_read) == 0);  // the controller, and no I/O
}

TEST_CASE("io.stat that is none: unknown, not zero") {
  for (const char* bad :
       {"x", "8:0 rbytes=x", "8:0 rbytes=99999999999999999999999", "8:0 rbytes=1x", "8", ":",
        "8:0x rbytes=1", "8:0 rbytes=18446744073709551615\n9:0 rbytes=1"}) {
    CAPTURE(bad);
    CHECK_FALSE(scanned(scan_io_stat, bad).usage.get(Field::io_read));
  }
}

TEST_CASE("pressure: percent and microseconds") {
  const Usage usage = scanned(scan_cpu_pressure,
                              "some avg10=23.93 avg60=5.84 avg300=1.28 total=4374760\n"
                              "full avg10=4.01 avg60=1.27 avg300=0.28 total=906483\n")
                          .usage;
  CHECK(*usage.percent(Field::cpu_some_avg10) == doctest::Approx(23.93));
  CHECK(usage.get(Field::cpu_some) == 4374760);
  CHECK(*usage.percent(Field::cpu_full_avg10) == doctest::Approx(4.01));
  CHECK(usage.get(Field::cpu_full) == 906483);
  CHECK_FALSE(usage.get(Field::io_some));
}

TEST_CASE("single numbers: digits and a line's end, nothing else") {
  for (const char* bad :
       {"", "\n", "max", "max\n", "-1", "1 2", "5\r\n", " 5", "18446744073709551616"}) {
    CAPTURE(bad);
    CHECK_FALSE(whole_number(bad));
  }
  CHECK(whole_number("18446744073709551615\n") == 18446744073709551615ULL);
}

TEST_CASE("v1: nanoseconds, totals, oom_control, blkio") {
  CHECK(scanned(scan_v1_nanoseconds<Field::cpu_usage>, "1234567\n").usage.get(Field::cpu_usage) ==
        1234);
  const Usage cpu =
      scanned(scan_v1_cpu_stat, "nr_periods 1\nnr_throttled 2\nthrottled_time 3000\n").usage;
  CHECK(cpu.get(Field::cpu_throttled_periods) == 2);
  CHECK(cpu.get(Field::cpu_throttled) == 3);
  const Usage memory = scanned(scan_v1_memory_stat,
                               "cache 1\nrss 2\nswap 3\nhierarchical_memory_limit 4\n"
                               "total_cache 10\ntotal_rss 20\ntotal_shmem 5\ntotal_swap 30\n")
                           .usage;
  CHECK(memory.get(Field::memory_anon) == 20);
  CHECK(memory.get(Field::memory_file) == 10);
  CHECK(memory.get(Field::swap_current) == 30);
  const Usage oom =
      scanned(scan_v1_oom_control, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n").usage;
  CHECK(oom.get(Field::local_event_oom_kill) == 2);
  CHECK_FALSE(oom.get(Field::event_oom_kill));
  const Scanned io = scanned(scan_v1_io_bytes,
                             "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n"
                             "8:16 Read 1\n8:16 Write 2\nTotal 12291\n");
  CHECK(io.devices.size() == 2);
  CHECK(io.usage.get(Field::io_read) == 4097);
  CHECK(io.usage.get(Field::io_write) == 8194);
  CHECK_FALSE(io.usage.get(Field::io_reads));
  CHECK_FALSE(scanned(scan_v1_io_bytes, "8:0").usage.get(Field::io_read));
  CHECK_FALSE(scanned(scan_v1_io_bytes, "8:0 Read\n").usage.get(Field::io_read));
}

TEST_CASE("every scanner takes any bytes: random ones, and damaged real files") {
  constexpr std::string_view kWords[] = {"usage_usec 5\n",
                                         "anon ",
                                         "some avg10=",
                                         "total=",
                                         "8:0 ",
                                         "rbytes=",
                                         "Read ",
                                         "Total ",
                                         "oom_kill 3\n",
                                         "9999999999999999999999",
                                         "\n",
                                         " ",
                                         "=",
                                         "max",
                                         "full ",
                                         ".",
                                         "avg10=1.5 ",
                                         "18446744073709551615"};
  std::mt19937 random(20261122);  // NOLINT: the same run each time
  const auto up_to = [&](std::size_t most) { return random() % (most + 1); };
  std::size_t known = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t left = up_to(12); left > 0; --left) {
      if (up_to(2) == 0) {
        text += static_cast<char>(up_to(255));
      } else {
        text += kWords[up_to(std::size(kWords) - 1)];
      }
    }
    for (const auto* table : {&v2_files(), &v1_files()}) {
      for (const AccountFile& each : *table) {
        const std::vector<char> exact(text.begin(), text.end());  // no byte behind: ASan would see
        const Scanned found = scanned(each.scan, {exact.data(), exact.size()});
        known += found.usage.known != 0 ? 1 : 0;
      }
    }
  }
  CHECK(known > 100);  // it is not only refused
}
