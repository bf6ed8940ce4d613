#include "files.hpp"

namespace gpuctl::cgroup::internal {

const std::vector<AccountFile>& v2_files() {
  static const std::vector<AccountFile> table = {
      {"cpu", "cpu.stat", scan_cpu_stat},
      {"memory", "memory.current", scan_number<Field::memory_current>, "memory"},
      {"memory", "memory.peak", scan_number<Field::memory_peak>, "memory"},
      {"memory", "memory.stat", scan_memory_stat, "memory"},
      {"memory", "memory.swap.current", scan_number<Field::swap_current>, "memory"},
      {"memory", "memory.swap.peak", scan_number<Field::swap_peak>, "memory"},
      {"memory", "memory.events", scan_memory_events, "memory"},
      {"memory", "memory.events.local", scan_memory_events_local, "memory"},
      {"blkio", "io.stat", scan_io_stat, "io"},
      {"pids", "pids.current", scan_number<Field::pids_current>, "pids"},
      {"pids", "pids.peak", scan_number<Field::pids_peak>, "pids"},
      {"pids", "pids.events", scan_pids_events, "pids"},
      {"", "cpu.pressure", scan_cpu_pressure},
      {"", "memory.pressure", scan_memory_pressure},
      {"", "io.pressure", scan_io_pressure},
  };
  return table;
}

const std::vector<AccountFile>& v1_files() {
  static const std::vector<AccountFile> table = {
      {"cpuacct", "cpuacct.usage", scan_v1_nanoseconds<Field::cpu_usage>},
      {"cpuacct", "cpuacct.usage_user", scan_v1_nanoseconds<Field::cpu_user>},
      {"cpuacct", "cpuacct.usage_sys", scan_v1_nanoseconds<Field::cpu_system>},
      {"cpu", "cpu.stat", scan_v1_cpu_stat},
      {"memory", "memory.usage_in_bytes", scan_number<Field::memory_current>},
      {"memory", "memory.max_usage_in_bytes", scan_number<Field::memory_peak>},
      {"memory", "memory.stat", scan_v1_memory_stat},
      {"memory", "memory.kmem.usage_in_bytes", scan_number<Field::memory_kernel>},
      {"memory", "memory.oom_control", scan_v1_oom_control},
      {"blkio", "blkio.throttle.io_service_bytes_recursive", scan_v1_io_bytes},
      {"blkio", "blkio.throttle.io_serviced_recursive", scan_v1_io_operations},
      {"pids", "pids.current", scan_number<Field::pids_current>},
      {"pids", "pids.peak", scan_number<Field::pids_peak>},
      {"pids", "pids.events", scan_pids_events},
  };
  return table;
}

}  // namespace gpuctl::cgroup::internal
