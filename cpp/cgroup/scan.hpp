// Scanners of the accounting files, without an allocation. What is no number stays unknown; nothing is ever guessed.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gpuctl/cgroup/usage.hpp"

namespace gpuctl::cgroup::internal {

// Where the scanned numbers go.
struct Into {
  Usage& usage;
  std::vector<IoDevice>& devices;
};

using Scan = void (*)(std::string_view text, Into into);

// Digits and the end of the line, nothing else.
std::optional<std::uint64_t> whole_number(std::string_view text);

// The file is one number.
template <Field Target>
void scan_number(std::string_view text, Into into) {
  if (const auto value = whole_number(text)) into.usage.set(Target, *value);
}

// cgroup v2
void scan_cpu_stat(std::string_view text, Into into);
void scan_memory_stat(std::string_view text, Into into);
void scan_memory_events(std::string_view text, Into into);
void scan_memory_events_local(std::string_view text, Into into);
void scan_pids_events(std::string_view text, Into into);
void scan_io_stat(std::string_view text, Into into);
void scan_cpu_pressure(std::string_view text, Into into);
void scan_memory_pressure(std::string_view text, Into into);
void scan_io_pressure(std::string_view text, Into into);

// cgroup v1: nanoseconds and others' names
void scan_v1_cpu_stat(std::string_view text, Into into);
void scan_v1_memory_stat(std::string_view text, Into into);
void scan_v1_oom_control(std::string_view text, Into into);
void scan_v1_io_bytes(std::string_view text, Into into);
void scan_v1_io_operations(std::string_view text, Into into);
template <Field Target>
void scan_v1_nanoseconds(std::string_view text, Into into) {
  if (const auto value = whole_number(text)) into.usage.set(Target, *value / 1000);
}

}  // namespace gpuctl::cgroup::internal
