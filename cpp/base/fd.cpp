#include "gpuctl/base/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace gpuctl {

void Fd::reset(int fd) {
  // EINTR from close(2) leaves the descriptor closed on Linux: never retry, it may be somebody else's by now.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<Fd> open_at(int dir_fd, const std::string& name, int flags, mode_t mode) {
  Fd fd(retry_on_interrupt([&] { return ::openat(dir_fd, name.c_str(), flags | O_CLOEXEC, mode); }));
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
    const ssize_t count = retry_on_interrupt([&] { return ::read(fd, chunk.data(), chunk.size()); });
    if (count < 0) return fail_errno(errno, path, "cannot read");
    if (count == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
    if (text.size() > max_bytes) {
      return fail(ErrorCode::malformed, path, "larger than " + std::to_string(max_bytes) + " bytes");
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

}  // namespace gpuctl
