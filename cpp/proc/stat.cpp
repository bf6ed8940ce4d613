#include "gpuctl/proc/stat.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "stat_fields.hpp"

namespace gpuctl::proc {
namespace {

Failure malformed(std::string_view text) {
  return fail(ErrorCode::malformed, "",
              "not a process's stat: `" + printable(text.substr(0, 80)) + "`");
}

// One read: the kernel makes the whole line at once, of some 300 bytes.
Result<Stat> read_line(int fd, const std::string& path) {
  std::array<char, 4096> text;  // NOLINT: filled by read(2)
  const ssize_t size = retry_on_interrupt([&] { return ::read(fd, text.data(), text.size()); });
  if (size < 0) return fail_errno(errno, path, "cannot read");
  return parse_stat({text.data(), static_cast<std::size_t>(size)});
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
  std::string path(host_paths::kProc);
  ((path += '/') += std::to_string(pid)) += "/stat";
  const Result<Fd> file = fs.open_path(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  return file ? read_line(file->get(), path) : fail(file.error());
}

Result<Stat> read_stat_in(int proc_pid_fd, pid_t pid) {
  const std::string path = std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/stat";
  const Result<Fd> file = open_at(proc_pid_fd, "stat", O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) return fail_errno(file.error().errno_value, path, "cannot open");
  return read_line(file->get(), path);
}

}  // namespace gpuctl::proc
