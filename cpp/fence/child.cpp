#include "child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "channel.hpp"
#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/base/without.hpp"
#include "namespaces.hpp"
#include "payload_fence.hpp"
#include "private_dev.hpp"
#include "privileges.hpp"
#include "shown.hpp"

namespace gpuctl::fence::internal {
namespace {

// struct clone_args of <linux/sched.h>. Its first size ends with `tls`, that with `cgroup` came with 5.7.
struct CloneArgs {
  std::uint64_t flags;
  std::uint64_t pidfd;
  std::uint64_t child_tid;
  std::uint64_t parent_tid;
  std::uint64_t exit_signal;
  std::uint64_t stack;
  std::uint64_t stack_size;
  std::uint64_t tls;
  std::uint64_t set_tid;
  std::uint64_t set_tid_size;
  std::uint64_t cgroup;
};
constexpr std::size_t kFirstSize = 64;
constexpr std::uint64_t kCloneIntoCgroup = 0x200000000;  // CLONE_INTO_CGROUP

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts)
    result.push_back(const_cast<char*>(text.c_str()));  // NOLINT: execve's type
  result.push_back(nullptr);
  return result;
}

void default_signals(const sigset_t& mask) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

// Waits for the caller's word; false when the caller is gone.
bool wait_for_go(int channel) {
  Message message;
  const ssize_t size =
      retry_on_interrupt([&] { return ::recv(channel, &message, sizeof message, 0); });
  return size == static_cast<ssize_t>(sizeof message) && message.word == Word::go;
}

bool redirect(int fd, int target) { return fd < 0 || ::dup2(fd, target) == target; }

[[noreturn]] void fail_exec(int exec_error) {
  const std::int32_t reason = errno;
  const ssize_t written = ::write(exec_error, &reason, sizeof reason);
  ::_exit(written == sizeof reason && reason == ENOENT ? 127 : 126);
}

// Init holds nothing of the caller's: whoever waits for the end of the payload's output must not wait for init.
void close_all_but(int kept) {
  const auto close_span = [](unsigned from, unsigned to) {
    if (from > to || ::syscall(syscall_numbers::kCloseRange, from, to, 0U) == 0) return;
    for (unsigned fd = from; fd <= to && fd < 65536; ++fd) ::close(static_cast<int>(fd));
  };
  const auto fd = static_cast<unsigned>(kept);
  if (fd > 0) close_span(0, fd - 1);
  close_span(fd + 1, ~0U);
}

// A payload that leaves nothing running is the usual case: then our own exit code is its, and the caller is woken once,
// when all is over, instead of twice.
void tell_end(int status, int channel) {
  const bool empty = ::waitpid(-1, nullptr, WNOHANG | __WALL) < 0;
  if (empty && WIFEXITED(status)) ::_exit(WEXITSTATUS(status));
  send_word(channel, Word::payload_exited, status);
}

[[noreturn]] void reap_until_empty(pid_t payload, int channel) {
  while (true) {
    int status = 0;
    const pid_t pid = retry_on_interrupt([&] { return ::waitpid(-1, &status, __WALL); });
    if (pid == payload) tell_end(status, channel);
    if (pid < 0) ::_exit(0);  // ECHILD: the namespace is empty
  }
}

[[noreturn]] void give_up(int channel, const char* step, Word word = Word::setup_failed) {
  send_word(channel, word, errno, step);
  ::_exit(125);
}

}  // namespace

ExecPlan plan_exec(const SpawnRequest& request) {
  return {pointers(request.argv), pointers(request.environment)};
}

// fork(2) with namespaces. clone3 is refused by old seccomp filters and absent before 5.3; clone takes the same flags.
pid_t clone_process(std::uint64_t flags, int cgroup_fd, bool* entered) {
  if (flags != 0 && without().namespaces) {
    errno = ENOSPC;  // as where user.max_user_namespaces is 0
    return -1;
  }
  CloneArgs arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  const bool enters = cgroup_fd >= 0 && !without().clone_into_cgroup;
  if (enters) {
    arguments.flags |= kCloneIntoCgroup;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup_fd);
  }
  if (entered != nullptr) *entered = enters;
  const auto pid = static_cast<pid_t>(
      ::syscall(syscall_numbers::kClone3, &arguments, enters ? sizeof arguments : kFirstSize));
  if (pid >= 0) return pid;
  const bool too_old = enters && (errno == E2BIG || errno == EINVAL);  // 5.3 to 5.6
  if (errno != ENOSYS && errno != EPERM && !too_old) return pid;
  if (entered != nullptr) *entered = false;
  return static_cast<pid_t>(
      ::syscall(SYS_clone, static_cast<unsigned long>(flags) | SIGCHLD, 0, 0, 0, 0));
}

void enter_cgroup(int procs_fd, int channel) {
  if (::write(procs_fd, "0", 1) != 1) give_up(channel, "enter the job's cgroup");
}

void become_payload(const SpawnRequest& request, const ExecPlan& plan, const Attempt& attempt,
                    const ChildEnds& ends) {
  ::setsid();
  ::prctl(PR_SET_DUMPABLE, 1);  // init is not
  if (attempt.fence != ProcessFence::runtime) offer_to_memory_killer();
  if (const char* failed = go_to_directory(request, attempt)) give_up(ends.channel, failed);
  const Fenced fenced = fence_payload(request, attempt);
  if (!fenced.failed.empty()) {
    send_word(ends.channel, Word::device_failed, fenced.errno_value, fenced.failed.c_str());
    ::_exit(125);
  }
  const std::int32_t flags = fenced.flags | (ends.cgroups_are_read_only ? cgroups_read_only : 0);
  if (!send_word(ends.channel, Word::ready, flags, fenced.note.c_str()) ||
      !wait_for_go(ends.channel))
    ::_exit(125);
  const bool prepared =
      redirect(request.stdout_fd, STDOUT_FILENO) && redirect(request.stderr_fd, STDERR_FILENO);
  if (!prepared) fail_exec(ends.exec_error);
  default_signals(request.signal_mask);
  ::environ = const_cast<char**>(plan.environment.data());  // NOLINT: execvp looks PATH up there
  ::execvp(plan.argv[0], plan.argv.data());
  fail_exec(ends.exec_error);
}

void become_init(const SpawnRequest& request, const ExecPlan& plan, const Attempt& attempt,
                 const ChildEnds& ends, const std::optional<Ids>& ids) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char* failed = ids ? map_ids(ids->uid, ids->gid) : nullptr;
  if (failed == nullptr) failed = mount_own_proc();
  const char* device_failed = nullptr;
  if (failed == nullptr && attempt.device == DeviceFence::private_dev)
    device_failed = mount_private_dev(*request.devices);
  if (device_failed != nullptr) give_up(ends.channel, device_failed, Word::device_failed);
  const auto shown = take_shown(request.shown);
  if (failed == nullptr && !shown) failed = "open a file of the payload's";
  if (failed == nullptr) failed = hide(request.hidden);
  if (failed == nullptr) failed = put_shown(*shown);
  if (failed == nullptr && !ids) failed = make_kernel_settings_read_only();
  if (failed != nullptr) give_up(ends.channel, failed);
  // PDEATHSIG does not come when the caller died before it was set; the payload's first word does not arrive then
  // either, so the payload ends, and we with it.
  ChildEnds payload_ends = ends;
  payload_ends.cgroups_are_read_only = make_cgroups_read_only();
  ::prctl(PR_SET_DUMPABLE, 0);  // before there is a payload that could trace us
  const pid_t payload = clone_process(0);
  if (payload < 0) give_up(ends.channel, "fork the payload");
  if (payload == 0) become_payload(request, plan, attempt, payload_ends);
  ::prctl(PR_SET_NAME, "gpuctl-init");
  close_all_but(ends.channel);
  reap_until_empty(payload, ends.channel);
}

}  // namespace gpuctl::fence::internal
