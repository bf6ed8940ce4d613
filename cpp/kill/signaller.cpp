#include "gpuctl/kill/signaller.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/base/without.hpp"

namespace gpuctl::kill {
namespace {

// Without a call that takes a handle the number itself is signalled. A pid space needs seconds to come round, so what
// was checked so long ago is still true; whoever was put to sleep in between checks again.
constexpr Usec kNumberIsGood = 50'000;

bool takes_handles(const proc::Handle& handle) {
  return handle.kind() == proc::Handle::Kind::pidfd || !without().pidfd;
}

// pidfd_send_signal(2) takes a pidfd and a /proc/PID directory alike. 0, or an errno.
int send_by_handle(const proc::Handle& handle, int signal) {
  const long done = ::syscall(syscall_numbers::kPidfdSendSignal, handle.fd(), signal, nullptr, 0);
  return done == 0 ? 0 : errno;
}

Signaller::Key key_of(const proc::Stat& stat) { return {stat.pid, stat.start_ticks}; }

bool is_gone(const Error& error) {
  return error.code == ErrorCode::not_found || error.code == ErrorCode::vanished;
}

// The real uid: the first number behind "Uid:" of proc_pid_status(5).
std::optional<std::string> owner_of(const HostFs& fs, pid_t pid) {
  const Result<std::string> status =
      fs.read_file(std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/status");
  if (!status) return std::nullopt;
  const std::size_t at = status->find("\nUid:\t");
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = at + 6;
  return status->substr(begin, status->find_first_of("\t\n", begin) - begin);
}

// The process may fork no more; its handle tells afterwards whether the number was still its own. Whoever else was met
// gets the old limit back.
void stop_forks(const proc::Handle& handle) {
  rlimit before{};
  const rlimit none{0, 0};
  if (::prlimit(handle.pid(), RLIMIT_NPROC, &none, &before) != 0) return;
  if (!handle.exists()) ::prlimit(handle.pid(), RLIMIT_NPROC, &before, nullptr);
}

}  // namespace

Signaller::Signaller(const HostFs& fs, std::uint64_t job_start_ticks)
    : fs_(fs), job_start_ticks_(job_start_ticks) {}

// Read when the first signal goes out, most jobs end without one. With the start time: the number of an ancestor that
// has ended may be a job's process today.
bool Signaller::is_protected(const proc::Stat& target) {
  for (pid_t pid = protected_.empty() ? ::getpid() : 0; pid > 0;) {
    const Result<proc::Stat> stat = proc::read_stat(fs_, pid);
    if (!stat || !protected_.insert(key_of(*stat)).second) break;
    pid = stat->ppid;
  }
  return target.pid == ::getpid() || protected_.count(key_of(target)) != 0;
}

Sent Signaller::refuse(const proc::Stat& target, const std::string& reason) {
  if (refused_keys_.insert(key_of(target)).second)
    refused_.push_back({target.pid, target.name, reason});
  return Sent::refused;
}

std::string Signaller::words_for(int error, pid_t pid) const {
  if (error != EPERM) return std::strerror(error);
  const std::optional<std::string> owner = owner_of(fs_, pid);
  return "another user's" + (owner ? " (uid " + *owner + ")" : std::string());
}

std::optional<std::string> Signaller::objection(const proc::Stat& target) {
  if (target.pid < 2) return "not a process that a job can have";
  if (is_protected(target)) return "gpuctl itself or an ancestor of it";
  if (target.is_kernel_thread()) return "a kernel thread";
  if (target.start_ticks < job_start_ticks_) return "older than the job";
  return std::nullopt;
}

// From the moment the handle is there it is one process: what is read then is read of that process, or it is gone.
std::optional<Signaller::Held> Signaller::hold(const proc::Stat& target, const Belongs& belongs,
                                               Sent& verdict) {
  verdict = Sent::gone;
  if (target.pid < 2) {
    verdict = refuse(target, *objection(target));
    return std::nullopt;
  }
  Result<proc::Handle> handle = proc::Handle::open(fs_, target.pid);
  if (!handle && !is_gone(handle.error())) verdict = refuse(target, handle.error().message());
  if (!handle) return std::nullopt;
  const Usec now = monotonic_usec();
  Result<proc::Stat> stat = handle->read_stat_of_living(fs_);
  if (!stat || stat->start_ticks != target.start_ticks) return std::nullopt;
  if (const std::optional<std::string> reason = objection(*stat)) {
    verdict = refuse(*stat, *reason);
    return std::nullopt;
  }
  if (!belongs(*stat)) return std::nullopt;
  return Held{std::move(*handle), std::move(*stat), now};
}

Sent Signaller::deliver(const Held& held, int signal) {
  int error = ENOSYS;
  if (takes_handles(held.handle)) error = send_by_handle(held.handle, signal);
  if (error == ENOSYS) {
    const bool checked_lately = monotonic_usec() - held.checked_at < kNumberIsGood;
    if (!checked_lately && held.handle.has_ended(fs_)) return Sent::gone;
    error = ::kill(held.handle.pid(), signal) == 0 ? 0 : errno;
  }
  if (error == ESRCH) return Sent::gone;
  if (error != 0) return refuse(held.now, words_for(error, held.now.pid));
  note(held.now, signal);
  return Sent::yes;
}

Sent Signaller::send(const proc::Stat& target, int signal, const Belongs& belongs) {
  Sent verdict{};
  const std::optional<Held> held = hold(target, belongs, verdict);
  return held ? deliver(*held, signal) : verdict;
}

Sent Signaller::ask(const proc::Stat& target, int signal, const Belongs& belongs) {
  Sent verdict{};
  const std::optional<Held> held = hold(target, belongs, verdict);
  if (!held) return verdict;
  verdict = deliver(*held, signal);
  if (verdict == Sent::yes) deliver(*held, SIGCONT);
  return verdict;
}

Sent Signaller::force(const proc::Stat& target, const Belongs& belongs) {
  Sent verdict{};
  const std::optional<Held> held = hold(target, belongs, verdict);
  if (!held) return verdict;
  stop_forks(held->handle);
  return deliver(*held, SIGKILL);
}

void Signaller::note(const proc::Stat& target, int signal) { ++sent_[signal][key_of(target)]; }

std::size_t Signaller::count(int signal) const {
  const auto found = sent_.find(signal);
  return found == sent_.end() ? 0 : found->second.size();
}

unsigned Signaller::times(const proc::Stat& target, int signal) const {
  const auto found = sent_.find(signal);
  if (found == sent_.end()) return 0;
  const auto each = found->second.find(key_of(target));
  return each == found->second.end() ? 0 : each->second;
}

bool Signaller::was_refused(const proc::Stat& target) const {
  return refused_keys_.count(key_of(target)) != 0;
}

}  // namespace gpuctl::kill
