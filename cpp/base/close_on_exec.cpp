#include "gpuctl/base/close_on_exec.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/syscall_numbers.hpp"

namespace gpuctl {

void close_on_exec_all() {
  constexpr unsigned kCloseRangeCloexec = 4;
  if (::syscall(syscall_numbers::kCloseRange, 3U, ~0U, kCloseRangeCloexec) == 0) return;
  const long highest = std::min<long>(::sysconf(_SC_OPEN_MAX), 65536);
  for (int fd = 3; fd < highest; ++fd) {
    const int now = ::fcntl(fd, F_GETFD);
    if (now >= 0) ::fcntl(fd, F_SETFD, now | FD_CLOEXEC);
  }
}

}  // namespace gpuctl
