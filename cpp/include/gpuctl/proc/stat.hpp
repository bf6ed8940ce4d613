// One process as /proc/PID/stat tells it (proc_pid_stat(5)).
//
// The name may hold blanks, line ends and parentheses: parsing starts behind the LAST ')'. Times are clock ticks
// (sysconf(_SC_CLK_TCK), 10 ms). A zombie with `threads` > 1 is alive: only its first thread has ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::proc {

struct Stat {
  pid_t pid = 0;
  std::string name;
  char state = '?';
  pid_t ppid = 0;
  pid_t pgrp = 0;
  pid_t session = 0;
  std::uint64_t flags = 0;  // PF_* of <linux/sched.h>
  std::uint64_t utime_ticks = 0;
  std::uint64_t stime_ticks = 0;
  std::int64_t cutime_ticks = 0;  // of children that were waited for, and theirs
  std::int64_t cstime_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  // since boot
  std::uint64_t rss_pages = 0;

  bool is_kernel_thread() const { return (flags & 0x00200000U) != 0; }  // PF_KTHREAD
  bool is_dead() const { return (state == 'Z' && threads <= 1) || state == 'X'; }
};

// ErrorCode::malformed where a field is missing or is no number.
Result<Stat> parse_stat(std::string_view text);

// ErrorCode::not_found or vanished when there is no such process.
Result<Stat> read_stat(const HostFs& fs, pid_t pid);

// The same of the process whose /proc/PID is open; vanished once it is reaped, whoever has the number then.
Result<Stat> read_stat_in(int proc_pid_fd, pid_t pid);

}  // namespace gpuctl::proc
