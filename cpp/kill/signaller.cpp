#include "gpuctl/kill/signaller.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/proc/identity.hpp"

namespace gpuctl::kill {
namespace {

bool has_ended(int pidfd) {
  pollfd end{pidfd, POLLIN, 0};
  return ::poll(&end, 1, 0) > 0;
}

// Without pidfds (before 5.3) the number itself is signalled: it was checked microseconds ago, and a pid space needs
// seconds to come round.
int send_signal(const Result<Fd>& pidfd, pid_t pid, int signal) {
  if (pidfd)
    return static_cast<int>(
        ::syscall(syscall_numbers::kPidfdSendSignal, pidfd->get(), signal, nullptr, 0));
  return ::kill(pid, signal);
}

}  // namespace

Signaller::Signaller(const HostFs& fs, std::uint64_t job_start_ticks)
    : fs_(fs), job_start_ticks_(job_start_ticks) {}

// Ourselves and our ancestors; read when the first signal goes out, most jobs end without one.
bool Signaller::is_protected(pid_t target) {
  pid_t pid = ::getpid();
  while (pid > 1 && protected_.insert(pid).second) {
    const Result<proc::Stat> stat = proc::read_stat(fs_, pid);
    if (!stat) break;
    pid = stat->ppid;
  }
  return protected_.count(target) != 0;
}

Sent Signaller::refuse(const proc::Stat& target, const std::string& reason) {
  if (refused_keys_.insert({target.pid, target.start_ticks}).second) {
    refused_.push_back({target.pid, target.name, reason});
  }
  return Sent::refused;
}

Sent Signaller::send(const proc::Stat& target, int signal) {
  if (target.pid < 2) return refuse(target, "not a process that a job can have");
  if (is_protected(target.pid)) return refuse(target, "gpuctl itself or an ancestor of it");
  const Result<Fd> pidfd = proc::open_pidfd(target.pid);
  if (!pidfd && pidfd.error().errno_value == ESRCH) return Sent::gone;

  // From here on the handle is one process: what is read now is read of that process, or it is gone.
  const Result<proc::Stat> now = proc::read_stat(fs_, target.pid);
  if (!now || now->start_ticks != target.start_ticks) return Sent::gone;
  if (now->is_kernel_thread()) return refuse(target, "a kernel thread");
  if (now->start_ticks < job_start_ticks_) return refuse(target, "older than the job");
  if (pidfd && has_ended(pidfd->get())) return Sent::gone;

  if (send_signal(pidfd, target.pid, signal) != 0) {
    if (errno == ESRCH) return Sent::gone;
    return refuse(target, std::strerror(errno));
  }
  sent_[signal].insert({target.pid, target.start_ticks});
  return Sent::yes;
}

std::size_t Signaller::count(int signal) const {
  const auto found = sent_.find(signal);
  return found == sent_.end() ? 0 : found->second.size();
}

bool Signaller::has_got(const proc::Stat& target, int signal) const {
  const auto found = sent_.find(signal);
  return found != sent_.end() && found->second.count({target.pid, target.start_ticks}) != 0;
}

}  // namespace gpuctl::kill
