#include "gpuctl/proc/stat.hpp"

#include <unistd.h>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "stat_fields.hpp"

namespace gpuctl::proc {
namespace {

Failure malformed(std::string_view text) {
  return fail(ErrorCode::malformed, "",
              "not a process's stat: `" + printable(text.substr(0, 80)) + "`");
}

}  // namespace

Result<Stat> parse_stat(std::string_view text) {
  internal::StatFields fields;
  if (!internal::scan_stat(text, fields)) return malformed(text);
  Stat stat;
  stat.pid = fields.pid;
  stat.name = fields.name;
  stat.state = fields.state;
  stat.ppid = fields.ppid;
  stat.pgrp = fields.pgrp;
  stat.session = fields.session;
  stat.flags = fields.flags;
  stat.utime_ticks = fields.utime_ticks;
  stat.stime_ticks = fields.stime_ticks;
  stat.cutime_ticks = fields.cutime_ticks;
  stat.cstime_ticks = fields.cstime_ticks;
  stat.threads = fields.threads;
  stat.start_ticks = fields.start_ticks;
  stat.rss_pages = fields.rss_pages;
  return stat;
}

Result<Stat> read_stat(const HostFs& fs, pid_t pid) {
  const Result<std::string> text =
      fs.read_file(std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/stat", 1 << 16);
  if (!text) return fail(text.error());
  return parse_stat(*text);
}

}  // namespace gpuctl::proc
