#include "gpuctl/base/fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "gpuctl/base/host_paths.hpp"

namespace gpuctl {

void Fd::reset(int fd) {
  // EINTR from close(2) leaves the descriptor closed on Linux: never retry, it may be somebody else's by now.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<Fd> open_at(int dir_fd, const std::string& name, int flags, mode_t mode) {
  Fd fd(
      retry_on_interrupt([&] { return ::openat(dir_fd, name.c_str(), flags | O_CLOEXEC, mode); }));
  if (!fd) return fail_errno(errno, name, "cannot open");
  return fd;
}

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "", "cannot make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<std::string> read_all(int fd, std::size_t max_bytes, const std::string& path) {
  std::string text;
  std::array<char, 4096> chunk;  // NOLINT: filled by read(2)
  while (true) {
    const ssize_t count =
        retry_on_interrupt([&] { return ::read(fd, chunk.data(), chunk.size()); });
    if (count < 0) return fail_errno(errno, path, "cannot read");
    if (count == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
    if (text.size() > max_bytes) {
      return fail(ErrorCode::malformed, path,
                  "larger than " + std::to_string(max_bytes) + " bytes");
    }
  }
}

Result<void> write_all(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t count = retry_on_interrupt([&] { return ::write(fd, data.data(), data.size()); });
    if (count < 0) return fail_errno(errno, path, "cannot write");
    data.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Fd open_again_without_blocking(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || S_ISREG(status.st_mode)) return {};
  const std::string path = std::string(host_paths::kLiveSelfFd) + "/" + std::to_string(fd);
  return Fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

Result<void> write_patiently(int fd, std::string_view data, int patience_ms,
                             const std::string& path) {
  while (!data.empty()) {
    pollfd ready{fd, POLLOUT, 0};
    const int polled = retry_on_interrupt([&] { return ::poll(&ready, 1, patience_ms); });
    if (polled == 0) return fail(ErrorCode::timeout, path, "the reader does not read");
    // POLLOUT promises room for PIPE_BUF bytes (pipe(7)): so much does not block even on a descriptor that can.
    const std::size_t size = std::min<std::size_t>(data.size(), PIPE_BUF);
    ssize_t count = retry_on_interrupt(
        [&] { return ::send(fd, data.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL); });
    if (count < 0 && errno == ENOTSOCK)
      count = retry_on_interrupt([&] { return ::write(fd, data.data(), size); });
    if (count < 0 && errno != EAGAIN) return fail_errno(errno, path, "cannot write");
    if (count > 0) data.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace gpuctl
