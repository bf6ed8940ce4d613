#include "gpuctl/job/tether.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "gpuctl/base/syscall_numbers.hpp"

namespace gpuctl::job {
namespace {

constexpr int kMadeWithinMs = 10'000;
constexpr int kGoneWithinMs = 1'000;
constexpr std::array<int, 6> kPassedOn = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct Ends {
  Fd ours;
  Fd theirs;
};

Result<Ends> make_ends() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno(errno, "", "cannot make a socket pair");
  return Ends{Fd(ends[0]), Fd(ends[1])};
}

// ---- the tether itself ----

bool tell(int channel, std::int32_t number) {
  return ::send(channel, &number, sizeof number, MSG_NOSIGNAL) ==
         static_cast<ssize_t>(sizeof number);
}

// It holds nothing of the supervisor's: whoever waits for the end of our output must not wait for it.
void close_all_but(int kept) {
  const auto close_span = [](unsigned from, unsigned to) {
    if (from > to || ::syscall(syscall_numbers::kCloseRange, from, to, 0U) == 0) return;
    for (unsigned fd = from; fd <= to && fd < 65536; ++fd) ::close(static_cast<int>(fd));
  };
  const auto fd = static_cast<unsigned>(kept);
  if (fd > 0) close_span(0, fd - 1);
  close_span(fd + 1, ~0U);
}

// All signals wait for the signalfd; those that mean nothing to the supervisor are left where they are.
int open_signals() {
  sigset_t all;
  sigset_t wanted;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  ::sigemptyset(&wanted);
  for (const int number : kPassedOn) {
    ::signal(number, SIG_DFL);  // one that is ignored would not come
    ::sigaddset(&wanted, number);
  }
  return ::signalfd(-1, &wanted, SFD_CLOEXEC);
}

[[noreturn]] void stand_in(int channel) {
  ::setsid();
  close_all_but(channel);
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_NAME, kTetherName);
  const int signals = open_signals();
  if (signals < 0 || !tell(channel, 0)) ::_exit(1);
  while (true) {
    std::array<pollfd, 2> waiting{{{channel, POLLIN, 0}, {signals, POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), -1);
    if (waiting[0].revents != 0)
      ::_exit(0);  // the supervisor says nothing: it let go, or it is dead
    signalfd_siginfo info{};
    if (waiting[1].revents == 0 || ::read(signals, &info, sizeof info) != sizeof info) continue;
    if (!tell(channel, static_cast<std::int32_t>(info.ssi_signo))) ::_exit(0);
  }
}

// ---- the supervisor's side ----

// While it lives, orphans pass us by.
class NoSubreaper {
 public:
  NoSubreaper() {
    ::prctl(PR_GET_CHILD_SUBREAPER, &before_);
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  ~NoSubreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, before_); }
  NoSubreaper(const NoSubreaper&) = delete;
  NoSubreaper& operator=(const NoSubreaper&) = delete;

 private:
  int before_ = 0;
};

Result<void> fork_twice(int channel) {
  const NoSubreaper orphans_pass_us_by;
  const pid_t between = ::fork();
  if (between < 0) return fail_errno(errno, "", "cannot fork");
  if (between == 0) {
    const pid_t tether = ::fork();
    if (tether == 0) stand_in(channel);
    ::_exit(tether < 0 ? 1 : 0);
  }
  int status = 0;
  retry_on_interrupt([&] { return ::waitpid(between, &status, 0); });
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(ErrorCode::unavailable, "", "cannot fork twice");
}

// The first word; the kernel tells who sent it.
Result<pid_t> await_tether(int channel) {
  pollfd waiting{channel, POLLIN, 0};
  if (retry_on_interrupt([&] { return ::poll(&waiting, 1, kMadeWithinMs); }) <= 0)
    return fail(ErrorCode::timeout, "", "the tether does not answer");
  std::int32_t word = 0;
  iovec piece{&word, sizeof word};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(channel, &header, MSG_DONTWAIT);
  const cmsghdr* first =
      size == static_cast<ssize_t>(sizeof word) ? CMSG_FIRSTHDR(&header) : nullptr;
  if (first == nullptr || first->cmsg_type != SCM_CREDENTIALS)
    return fail(ErrorCode::vanished, "", "the tether is gone");
  ucred credentials{};
  std::memcpy(&credentials, CMSG_DATA(first), sizeof credentials);
  return credentials.pid;
}

// A child of ours it would be part of the job.
bool is_child(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void wait_until_gone(int channel) {
  pollfd waiting{channel, POLLIN, 0};
  std::int32_t word = 0;
  while (::poll(&waiting, 1, kGoneWithinMs) > 0 &&
         ::recv(channel, &word, sizeof word, MSG_DONTWAIT) > 0)
    continue;
}

}  // namespace

Result<Tether> Tether::make() {
  Result<Ends> ends = make_ends();
  if (!ends) return fail(ends.error());
  const int on = 1;
  if (::setsockopt(ends->ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
    return fail_errno(errno, "", "cannot ask for credentials");
  if (Result<void> forked = fork_twice(ends->theirs.get()); !forked) return fail(forked.error());
  ends->theirs.reset();
  const Result<pid_t> pid = await_tether(ends->ours.get());
  if (!pid) return fail(pid.error());
  Tether tether(std::move(ends->ours), *pid);
  if (!is_child(*pid)) return tether;
  tether.let_go();
  retry_on_interrupt([&] { return ::waitpid(*pid, nullptr, 0); });
  return fail(ErrorCode::unsupported, "", "orphans come to us here, as to pid 1 of a container");
}

Tether::News Tether::read() {
  News news;
  while (channel_) {
    std::int32_t number = 0;
    const ssize_t size = retry_on_interrupt(
        [&] { return ::recv(channel_.get(), &number, sizeof number, MSG_DONTWAIT); });
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (size == static_cast<ssize_t>(sizeof number)) {
      news.signals.push_back(number);
      continue;
    }
    news.is_gone = true;
    channel_.reset();
  }
  return news;
}

void Tether::let_go() {
  if (!channel_) return;
  ::shutdown(channel_.get(), SHUT_WR);
  wait_until_gone(channel_.get());
  channel_.reset();
}

}  // namespace gpuctl::job
