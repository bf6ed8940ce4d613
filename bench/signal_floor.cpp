// One verified signal, the system calls that it makes, and kill(2), in turn in one process:
//
//   signal_floor PID ROUNDS   ->   three medians in nanoseconds: verified, bare calls, kill
//
// The signal is 0, which the kernel checks like any other and delivers to nobody. The bare calls are those of the
// Signaller, one for one, without a line of parsing: see `strace -c`.
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "gpuctl/kill/signaller.hpp"

using namespace gpuctl;

namespace {

long nanoseconds(const std::function<void()>& action) {
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) action();
  const auto took = std::chrono::steady_clock::now() - began;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(took).count() / 20;
}

long median(std::vector<long>& times) {
  std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

class BareCalls {
 public:
  explicit BareCalls(pid_t pid) : pid_(pid), path_("proc/" + std::to_string(pid) + "/stat") {}

  void run() const {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    open_how how{};
    how.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const int file = static_cast<int>(::syscall(SYS_openat2, root_, path_.c_str(), &how, sizeof how));
    char text[4096];
    bool good = ::read(file, text, sizeof text) > 0;
    ::close(file);
    pollfd end{pidfd, POLLIN, 0};  // is it still there?
    good = good && ::poll(&end, 1, 0) == 0 && send(pidfd);
    ::close(pidfd);
    if (!good) std::abort();
  }

 private:
  static bool send(int pidfd) {
    return ::syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) == 0;
  }

  pid_t pid_;
  std::string path_;
  int root_ = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto pid = static_cast<pid_t>(std::atoi(argv[1]));
  const int rounds = std::atoi(argv[2]);
  const HostFs fs = std::move(*HostFs::open("/"));
  const proc::Stat target = *proc::read_stat(fs, pid);
  kill::Signaller signaller(fs, 0);
  const kill::Belongs belongs = [&](const proc::Stat& now) { return now.ppid == target.ppid; };
  const BareCalls bare(pid);
  const auto verified = [&] {
    if (signaller.send(target, 0, belongs) != kill::Sent::yes) std::abort();
  };
  std::vector<long> ours, calls, kills;
  for (int round = 0; round < rounds; ++round) {
    ours.push_back(nanoseconds(verified));
    calls.push_back(nanoseconds([&] { bare.run(); }));
    kills.push_back(nanoseconds([&] { ::kill(pid, 0); }));
  }
  std::printf("%ld %ld %ld\n", median(ours), median(calls), median(kills));
  return 0;
}
