#include "gpuctl/cgroup/usage.hpp"

#include <cstring>

namespace gpuctl::cgroup {
namespace {

constexpr FieldKind kCounter = FieldKind::counter;
constexpr FieldKind kGauge = FieldKind::gauge;
constexpr FieldKind kPercent = FieldKind::percent;

constexpr std::array<FieldInfo, kFields> kTable = {{
    {"cpu", "usage_usec", "cpu_usage_usec", kCounter},
    {"cpu", "user_usec", "cpu_user_usec", kCounter},
    {"cpu", "system_usec", "cpu_system_usec", kCounter},
    {"cpu", "periods", "cpu_periods", kCounter},
    {"cpu", "throttled_periods", "cpu_throttled_periods", kCounter},
    {"cpu", "throttled_usec", "cpu_throttled_usec", kCounter},
    {"memory", "current_bytes", "memory_current_bytes", kGauge},
    {"memory", "peak_bytes", "memory_peak_bytes", kGauge},
    {"memory", "anon_bytes", "memory_anon_bytes", kGauge},
    {"memory", "file_bytes", "memory_file_bytes", kGauge},
    {"memory", "shmem_bytes", "memory_shmem_bytes", kGauge},
    {"memory", "kernel_bytes", "memory_kernel_bytes", kGauge},
    {"memory", "swap_bytes", "swap_current_bytes", kGauge},
    {"memory", "swap_peak_bytes", "swap_peak_bytes", kGauge},
    {"io", "read_bytes", "io_read_bytes", kCounter},
    {"io", "write_bytes", "io_write_bytes", kCounter},
    {"io", "reads", "io_reads", kCounter},
    {"io", "writes", "io_writes", kCounter},
    {"pids", "current", "pids_current", kGauge},
    {"pids", "peak", "pids_peak", kGauge},
    {"pids", "refused_forks", "pids_refused_forks", kCounter},
    {"events", "low", "event_low", kCounter},
    {"events", "high", "event_high", kCounter},
    {"events", "max", "event_max", kCounter},
    {"events", "oom", "event_oom", kCounter},
    {"events", "oom_kill", "event_oom_kill", kCounter},
    {"events", "oom_group_kill", "event_oom_group_kill", kCounter},
    {"events_local", "low", "local_event_low", kCounter},
    {"events_local", "high", "local_event_high", kCounter},
    {"events_local", "max", "local_event_max", kCounter},
    {"events_local", "oom", "local_event_oom", kCounter},
    {"events_local", "oom_kill", "local_event_oom_kill", kCounter},
    {"events_local", "oom_group_kill", "local_event_oom_group_kill", kCounter},
    {"pressure", "cpu_some_avg10_percent", "cpu_some_avg10_percent", kPercent},
    {"pressure", "cpu_some_usec", "cpu_some_usec", kCounter},
    {"pressure", "cpu_full_avg10_percent", "cpu_full_avg10_percent", kPercent},
    {"pressure", "cpu_full_usec", "cpu_full_usec", kCounter},
    {"pressure", "memory_some_avg10_percent", "memory_some_avg10_percent", kPercent},
    {"pressure", "memory_some_usec", "memory_some_usec", kCounter},
    {"pressure", "memory_full_avg10_percent", "memory_full_avg10_percent", kPercent},
    {"pressure", "memory_full_usec", "memory_full_usec", kCounter},
    {"pressure", "io_some_avg10_percent", "io_some_avg10_percent", kPercent},
    {"pressure", "io_some_usec", "io_some_usec", kCounter},
    {"pressure", "io_full_avg10_percent", "io_full_avg10_percent", kPercent},
    {"pressure", "io_full_usec", "io_full_usec", kCounter},
}};
static_assert(kTable.back().group != nullptr, "a row for each Field");

}  // namespace

const std::array<FieldInfo, kFields>& usage_fields() { return kTable; }

std::optional<double> Usage::percent(Field field) const {
  const std::optional<std::uint64_t> bits = get(field);
  if (!bits) return std::nullopt;
  double value = 0;
  std::memcpy(&value, &*bits, sizeof value);
  return value;
}

void Usage::set_percent(Field field, double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  set(field, bits);
}

std::optional<double> rate(const Usage& before, const Usage& after, Field field) {
  const std::optional<std::uint64_t> old_value = before.get(field);
  const std::optional<std::uint64_t> new_value = after.get(field);
  const Usec passed = after.taken_at - before.taken_at;
  if (!old_value || !new_value || before.identity != after.identity) return std::nullopt;
  if (passed <= 0 || *new_value < *old_value) return std::nullopt;
  return static_cast<double>(*new_value - *old_value) * 1e6 / static_cast<double>(passed);
}

}  // namespace gpuctl::cgroup
