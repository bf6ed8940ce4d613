#include "gpuctl/fence/spawn.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "gpuctl/base/host_paths.hpp"
#include "namespaces.hpp"

namespace gpuctl::fence {
namespace {

constexpr int kSetupTimeoutMs = 10'000;

// What travels over the channel. Every message also carries its sender's pid, translated by the kernel.
enum class Word : std::int32_t { ready, setup_failed, payload_exited, go };

struct Message {
  Word word = Word::ready;
  std::int32_t value = 0;  // errno, or a wait status
  char step[48] = {};      // which step failed
};

struct Channel {
  Fd ours;
  Fd theirs;
};

Result<Channel> make_channel() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "", "cannot make a socket pair");
  }
  Channel channel{Fd(ends[0]), Fd(ends[1])};
  const int on = 1;
  if (::setsockopt(channel.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return fail_errno(errno, "", "cannot ask for credentials");
  }
  return channel;
}

bool send_word(int fd, Word word, int value = 0, const char* step = "") {
  Message message;
  message.word = word;
  message.value = value;
  std::strncpy(message.step, step, sizeof message.step - 1);
  return ::send(fd, &message, sizeof message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

struct Received {
  Message message;
  pid_t sender = 0;
};

// The next message; ErrorCode::vanished at end of file, timeout when none comes.
Result<Received> receive(int fd, int timeout_ms) {
  pollfd waiting{fd, POLLIN, 0};
  const int ready = retry_on_interrupt([&] { return ::poll(&waiting, 1, timeout_ms); });
  if (ready == 0) return fail(ErrorCode::timeout, "", "the new process does not answer");
  Received received;
  iovec piece{&received.message, sizeof received.message};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t size = retry_on_interrupt([&] { return ::recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); });
  if (size != static_cast<ssize_t>(sizeof received.message)) {
    return fail(ErrorCode::vanished, "", "the new process is gone");
  }
  const cmsghdr* first = CMSG_FIRSTHDR(&header);
  if (first != nullptr && first->cmsg_type == SCM_CREDENTIALS) {
    ucred credentials{};
    std::memcpy(&credentials, CMSG_DATA(first), sizeof credentials);
    received.sender = credentials.pid;
  }
  return received;
}

// fork(2) with namespaces. clone3 is refused by old seccomp filters and absent before 5.3; clone takes the same flags.
pid_t clone_process(std::uint64_t flags) {
  clone_args arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid >= 0 || (errno != ENOSYS && errno != EPERM)) return pid;
  return static_cast<pid_t>(::syscall(SYS_clone, static_cast<unsigned long>(flags) | SIGCHLD, 0, 0, 0, 0));
}

// ---- in the payload, before its exec ----

struct ExecPlan {
  std::vector<char*> argv;
  std::vector<char*> environment;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));  // NOLINT: execve's type
  result.push_back(nullptr);
  return result;
}

void default_signals(const sigset_t& mask) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

// Waits for the caller's word; false when the caller is gone.
bool wait_for_go(int channel) {
  Message message;
  const ssize_t size = retry_on_interrupt([&] { return ::recv(channel, &message, sizeof message, 0); });
  return size == static_cast<ssize_t>(sizeof message) && message.word == Word::go;
}

bool redirect(int fd, int target) { return fd < 0 || ::dup2(fd, target) == target; }

[[noreturn]] void fail_exec(int exec_error) {
  const std::int32_t reason = errno;
  const ssize_t written = ::write(exec_error, &reason, sizeof reason);
  ::_exit(written == sizeof reason && reason == ENOENT ? 127 : 126);
}

[[noreturn]] void become_payload(const SpawnRequest& request, const ExecPlan& plan, int channel, int exec_error) {
  ::setsid();
  if (!send_word(channel, Word::ready) || !wait_for_go(channel)) ::_exit(125);
  const bool prepared = redirect(request.stdout_fd, STDOUT_FILENO) && redirect(request.stderr_fd, STDERR_FILENO) &&
                        (request.directory_fd < 0 || ::fchdir(request.directory_fd) == 0);
  if (!prepared) fail_exec(exec_error);
  default_signals(request.signal_mask);
  ::environ = const_cast<char**>(plan.environment.data());  // NOLINT: execvp looks PATH up there
  ::execvp(plan.argv[0], plan.argv.data());
  fail_exec(exec_error);
}

// ---- init of the pid namespace ----

void close_all_but(int first, int second) {
  const int low = first < second ? first : second;
  const int high = first < second ? second : first;
  const auto close_span = [](unsigned from, unsigned to) {
    if (from > to || ::syscall(SYS_close_range, from, to, 0U) == 0) return;
    for (unsigned fd = from; fd <= to && fd < 65536; ++fd) ::close(static_cast<int>(fd));
  };
  close_span(0, static_cast<unsigned>(low) - 1);
  close_span(static_cast<unsigned>(low) + 1, static_cast<unsigned>(high) - 1);
  close_span(static_cast<unsigned>(high) + 1, ~0U);
}

[[noreturn]] void reap_until_empty(pid_t payload, int channel) {
  while (true) {
    int status = 0;
    const pid_t pid = retry_on_interrupt([&] { return ::waitpid(-1, &status, __WALL); });
    if (pid == payload) send_word(channel, Word::payload_exited, status);
    if (pid < 0) ::_exit(0);  // ECHILD: the namespace is empty
  }
}

[[noreturn]] void give_up(int channel, const char* step) {
  send_word(channel, Word::setup_failed, errno, step);
  ::_exit(125);
}

[[noreturn]] void become_init(const SpawnRequest& request, const ExecPlan& plan, const uid_t* uid, gid_t gid, int channel,
                              int exec_error) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char* failed = uid != nullptr ? internal::map_ids(*uid, gid) : nullptr;
  if (failed == nullptr) failed = internal::mount_own_proc();
  if (failed != nullptr) give_up(channel, failed);
  // PDEATHSIG does not come when the caller died before it was set; the payload's first word does not arrive then
  // either, so the payload ends, and we with it.
  const pid_t payload = clone_process(0);
  if (payload < 0) give_up(channel, "fork the payload");
  if (payload == 0) become_payload(request, plan, channel, exec_error);
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_NAME, "gpuctl-init");
  ::close(exec_error);
  close_all_but(channel, channel);
  reap_until_empty(payload, channel);
}

// ---- in the caller ----

struct Attempt {
  ProcessFence fence;
  std::uint64_t flags;
  const char* words;
};

// The ways to try, strongest first. Root tries without a user namespace, so that it stays root of its files.
std::vector<Attempt> attempts(ProcessFence strongest) {
  std::vector<Attempt> all;
  if (strongest == ProcessFence::pid_namespace) {
    constexpr std::uint64_t kNamespaces = CLONE_NEWPID | CLONE_NEWNS;
    if (::geteuid() == 0) all.push_back({ProcessFence::pid_namespace, kNamespaces, "a pid namespace"});
    all.push_back({ProcessFence::pid_namespace, kNamespaces | CLONE_NEWUSER, "a pid namespace in a user namespace"});
  }
  all.push_back({ProcessFence::session, 0, "a session"});
  return all;
}

// Waits for the payload's word that it is ready, or for init's that it failed.
Result<void> await_ready(Child& child) {
  const Result<Received> received = receive(child.channel.get(), kSetupTimeoutMs);
  if (!received) return fail(received.error());
  const Message& message = received->message;
  if (message.word != Word::ready) return fail_errno(message.value, "", std::string("cannot ") + message.step);
  child.payload = received->sender;
  return {};
}

Result<Child> try_spawn(const SpawnRequest& request, const ExecPlan& plan, const Attempt& attempt) {
  Result<Channel> channel = make_channel();
  if (!channel) return fail(std::move(channel).error());
  Result<Pipe> exec_error = make_pipe();
  if (!exec_error) return fail(std::move(exec_error).error());
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();

  const pid_t pid = clone_process(attempt.flags);
  if (pid < 0) return fail_errno(errno, "", std::string("cannot make ") + attempt.words);
  if (pid == 0) {
    ::close(channel->ours.release());
    ::close(exec_error->read_end.release());
    const int theirs = channel->theirs.get();
    const int write_end = exec_error->write_end.get();
    if (attempt.fence == ProcessFence::session) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      become_payload(request, plan, theirs, write_end);
    }
    const bool mapped = (attempt.flags & CLONE_NEWUSER) != 0;
    become_init(request, plan, mapped ? &uid : nullptr, gid, theirs, write_end);
  }

  Child child;
  child.fence = attempt.fence;
  child.pid = pid;
  child.channel = std::move(channel->ours);
  child.exec_error = std::move(exec_error->read_end);
  channel->theirs.reset();
  exec_error->write_end.reset();
  if (const Result<void> ready = await_ready(child); !ready) {
    ::kill(pid, SIGKILL);  // our own child, not yet reaped: the number is still its
    retry_on_interrupt([&] { return ::waitpid(pid, nullptr, __WALL); });
    return fail(ready.error());
  }
  return child;
}

}  // namespace

const char* name_of(ProcessFence fence) {
  return fence == ProcessFence::pid_namespace ? "pid_namespace" : "session";
}

Result<Child> spawn(const SpawnRequest& request) {
  if (request.argv.empty()) return fail(ErrorCode::usage, "", "no command to run");
  const ExecPlan plan{pointers(request.argv), pointers(request.environment)};
  std::vector<std::string> notes;
  for (const Attempt& attempt : attempts(request.strongest)) {
    Result<Child> child = try_spawn(request, plan, attempt);
    if (child) {
      child->notes = std::move(notes);
      return child;
    }
    notes.push_back(std::string(attempt.words) + ": " + child.error().message());
  }
  return fail(ErrorCode::unavailable, request.argv[0], "cannot start a process: " + notes.back());
}

Result<void> release(const Child& child) {
  if (send_word(child.channel.get(), Word::go)) return {};
  return fail_errno(errno, "", "the payload is gone before its exec");
}

std::optional<int> exec_errno(const Child& child) {
  std::int32_t reason = 0;
  const ssize_t size = retry_on_interrupt([&] { return ::read(child.exec_error.get(), &reason, sizeof reason); });
  if (size == static_cast<ssize_t>(sizeof reason)) return reason;
  return std::nullopt;
}

std::optional<int> payload_status(const Child& child) {
  while (true) {
    const Result<Received> received = receive(child.channel.get(), 0);
    if (!received) return std::nullopt;
    if (received->message.word == Word::payload_exited) return received->message.value;
  }
}

}  // namespace gpuctl::fence
