// Usage: what one cgroup has used, at one moment: a row of numbers, each known or not. Unknown is never 0.
//
// One row has a fixed size, so that Python sees many of them as a numpy array. Which numbers there are is the table
// usage_fields(): JSON, numpy columns and the verb's text are made from it.
//
//   std::optional<std::uint64_t> peak = usage.get(Field::memory_peak);    // nullopt: this kernel does not tell
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"

namespace gpuctl::cgroup {

// In the order of usage_fields(). Counters grow while the cgroup lives; the others are momentary.
enum class Field : std::uint8_t {
  cpu_usage,  // microseconds, also the two below
  cpu_user,
  cpu_system,
  cpu_periods,
  cpu_throttled_periods,
  cpu_throttled,  // microseconds
  memory_current,
  memory_peak,
  memory_anon,
  memory_file,
  memory_shmem,   // part of memory_file
  memory_kernel,  // Linux 5.18
  swap_current,
  swap_peak,
  io_read,  // bytes from and to storage, all devices together
  io_write,
  io_reads,  // operations
  io_writes,
  pids_current,  // processes and threads
  pids_peak,
  pids_max_events,  // forks that the limit refused
  event_low,        // memory.events: of this cgroup and all below it
  event_high,
  event_max,
  event_oom,
  event_oom_kill,
  event_oom_group_kill,
  local_event_low,  // memory.events.local: of this cgroup alone
  local_event_high,
  local_event_max,
  local_event_oom,
  local_event_oom_kill,
  local_event_oom_group_kill,
  cpu_some_avg10,  // pressure: percent of the last 10 s, a double
  cpu_some,        // and microseconds in total
  cpu_full_avg10,
  cpu_full,
  memory_some_avg10,
  memory_some,
  memory_full_avg10,
  memory_full,
  io_some_avg10,
  io_some,
  io_full_avg10,
  io_full,
};
inline constexpr std::size_t kFields = static_cast<std::size_t>(Field::io_full) + 1;
static_assert(kFields <= 64, "Usage::known has a bit for each");

enum class FieldKind { counter, gauge, percent };

struct FieldInfo {
  const char* group;   // "cpu", "memory", "io", "pids", "events", "events_local", "pressure"
  const char* key;     // inside the group, with its unit: "usage_usec"
  const char* column;  // of the numpy array: "cpu_usage_usec"
  FieldKind kind;
};
const std::array<FieldInfo, kFields>& usage_fields();

// The layout is what Python reads: change it together with the bindings.
struct Usage {
  Usec taken_at = 0;  // monotonic
  std::uint64_t identity =
      0;  // inode of the directory (a pid for a process tree): another one has other counters
  std::uint64_t known = 0;                      // bit by Field
  std::array<std::uint64_t, kFields> values{};  // percentages as the bits of a double

  std::optional<std::uint64_t> get(Field field) const {
    const auto index = static_cast<std::size_t>(field);
    if ((known >> index & 1U) == 0) return std::nullopt;
    return values[index];
  }
  std::optional<double> percent(Field field) const;
  void set(Field field, std::uint64_t value) {
    const auto index = static_cast<std::size_t>(field);
    values[index] = value;
    known |= std::uint64_t{1} << index;
  }
  void set_percent(Field field, double value);
};

// Growth of a counter per second between two samples; nullopt where either does not know it, where they are not of the
// same cgroup, or where no time has passed.
std::optional<double> rate(const Usage& before, const Usage& after, Field field);

// One block device of io.stat.
struct IoDevice {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t write_bytes = 0;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
};

}  // namespace gpuctl::cgroup
