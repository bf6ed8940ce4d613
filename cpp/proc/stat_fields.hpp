// The one scanner of /proc/PID/stat, without an allocation: parse_stat() and the snapshot are made from it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

namespace gpuctl::proc::internal {

// As in Stat; `name` points into the text that was scanned.
struct StatFields {
  pid_t pid = 0;
  std::string_view name;
  char state = '?';
  pid_t ppid = 0;
  pid_t pgrp = 0;
  pid_t session = 0;
  std::uint64_t flags = 0;
  std::uint64_t utime_ticks = 0;
  std::uint64_t stime_ticks = 0;
  std::int64_t cutime_ticks = 0;
  std::int64_t cstime_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;
  std::uint64_t rss_pages = 0;
};

// False where a field is missing, is no number or does not fit; `fields` is then of no use.
bool scan_stat(std::string_view text, StatFields& fields);

}  // namespace gpuctl::proc::internal
