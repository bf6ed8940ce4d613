// Fd: the owner of one file descriptor, and the few operations that must not be got wrong (EINTR, short writes).
//
// Every descriptor of gpuctl is close-on-exec; Fd never duplicates and never throws. Not shared between threads.
//
//   Result<Fd> fd = open_at(dir.get(), "trace", O_WRONLY | O_CREAT | O_APPEND, 0600);
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "gpuctl/base/result.hpp"

namespace gpuctl {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read_end;
  Fd write_end;
};

// openat(2) with O_CLOEXEC. `name` is relative to `dir_fd`, or absolute with AT_FDCWD.
Result<Fd> open_at(int dir_fd, const std::string& name, int flags, mode_t mode = 0);

// pipe2(2) with O_CLOEXEC.
Result<Pipe> make_pipe();

// Everything up to `max_bytes`; more than that is ErrorCode::malformed. `path` is only for the error.
Result<std::string> read_all(int fd, std::size_t max_bytes, const std::string& path);

// All of `data`, however many write(2) it takes.
Result<void> write_all(int fd, std::string_view data, const std::string& path);

// Our own open file of the same pipe, terminal or device, on which writes do not block; the flag on `fd` itself would
// be shared with everybody who inherited it. An empty Fd where that cannot be had (sockets, a pipe of another user), and
// for a plain file: writing to one does not block, and its offset is what keeps the writers from overwriting each other.
Fd open_again_without_blocking(int fd);

// All of `data`, as long as the reader goes on taking it: ErrorCode::timeout when it took nothing for `patience_ms`.
// For pipes and sockets whose reader may have stopped reading; best with a descriptor that does not block.
Result<void> write_patiently(int fd, std::string_view data, int patience_ms,
                             const std::string& path);

// Calls `operation` again while it fails with EINTR.
template <typename Operation>
auto retry_on_interrupt(Operation operation) {
  auto result = operation();
  while (result == -1 && errno == EINTR) result = operation();
  return result;
}

}  // namespace gpuctl
