// ProcDir: /proc held open, for reading thousands of small files in it without allocating.
//
// On the live machine a file is one openat(2) below the kept directory; below a recorded root every path goes through
// HostFs, which no link in the recording can leave. Not shared between threads: the buffer is one.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::proc::internal {

class ProcDir {
 public:
  // `fs` outlives the ProcDir.
  static Result<ProcDir> open(const HostFs& fs);

  // Replaces `pids` by all that are listed, ascending.
  Result<void> list(std::vector<pid_t>& pids);

  // PID/NAME, or PID itself where `name` is empty; an invalid Fd with errno set where that fails.
  Fd open_file(pid_t pid, const char* name) const;

  // What is in the file from its beginning, valid until the next read; nullopt with errno set where it cannot be
  // read. `size` says how much is wanted at least: what is longer is cut.
  std::optional<std::string_view> read(pid_t pid, const char* name, std::size_t size);
  std::optional<std::string_view> read_open(int fd, std::size_t size);

  // Something could not be opened since descriptors or memory ran out.
  bool ran_out() const { return ran_out_; }

  // Effective user of the process (the owner of /proc/PID); nullopt with errno set.
  std::optional<uid_t> owner(pid_t pid) const;

 private:
  ProcDir(const HostFs& fs, Fd fd) : fs_(&fs), fd_(std::move(fd)) {}

  const HostFs* fs_;
  Fd fd_;
  std::vector<char> buffer_;
  mutable bool ran_out_ = false;
};

// Where a stat line ends at the latest: 52 numbers of 20 digits and a name of 64 bytes.
inline constexpr std::size_t kMaxStatBytes = 2048;

}  // namespace gpuctl::proc::internal
