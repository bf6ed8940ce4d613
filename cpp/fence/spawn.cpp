#include "gpuctl/fence/spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "channel.hpp"
#include "child.hpp"

namespace gpuctl::fence {
namespace {

using internal::Channel;
using internal::clone_process;
using internal::ExecPlan;
using internal::Ids;
using internal::Message;
using internal::receive;
using internal::Received;
using internal::send_word;
using internal::Word;

constexpr int kSetupTimeoutMs = 10'000;

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
    if (::geteuid() == 0)
      all.push_back({ProcessFence::pid_namespace, kNamespaces, "a pid namespace"});
    all.push_back({ProcessFence::pid_namespace, kNamespaces | CLONE_NEWUSER,
                   "a pid namespace in a user namespace"});
  }
  all.push_back(
      {strongest == ProcessFence::runtime ? strongest : ProcessFence::session, 0, "a session"});
  return all;
}

// Waits for the payload's word that it is ready, or for init's that it failed.
Result<void> await_ready(Child& child) {
  const Result<Received> received =
      receive(child.channel.get(), kSetupTimeoutMs, child.exec_error.get());
  if (!received) return fail(received.error());
  const Message& message = received->message;
  if (message.word != Word::ready)
    return fail_errno(message.value, "", std::string("cannot ") + message.step);
  child.payload = received->sender;
  child.cgroups_are_read_only = message.value != 0;
  return {};
}

// The file by whose writing a process moves itself, opened by us: whoever opened it is whose rights count.
Result<Fd> open_procs(const SpawnRequest& request) {
  if (request.cgroup_fd < 0) return Fd();
  return open_at(request.cgroup_fd, "cgroup.procs", O_WRONLY | O_NOFOLLOW);
}

Result<Child> try_spawn(const SpawnRequest& request, const ExecPlan& plan, const Attempt& attempt) {
  const Result<Fd> procs = open_procs(request);
  if (!procs) return fail(procs.error());
  Result<Channel> channel = internal::make_channel();
  if (!channel) return fail(std::move(channel).error());
  Result<Pipe> exec_error = make_pipe();
  if (!exec_error) return fail(std::move(exec_error).error());
  const bool mapped = (attempt.flags & CLONE_NEWUSER) != 0;
  const std::optional<Ids> ids =
      mapped ? std::optional<Ids>(Ids{::geteuid(), ::getegid()}) : std::nullopt;

  bool entered = false;
  const pid_t pid = clone_process(attempt.flags, request.cgroup_fd, &entered);
  if (pid < 0) return fail_errno(errno, "", std::string("cannot make ") + attempt.words);
  if (pid == 0) {
    ::close(channel->ours.release());
    ::close(exec_error->read_end.release());
    const internal::ChildEnds ends{channel->theirs.get(), exec_error->write_end.get(), false};
    if (*procs && !entered) internal::enter_cgroup(procs->get(), ends.channel);
    if (attempt.fence == ProcessFence::pid_namespace)
      internal::become_init(request, plan, ends, ids);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    internal::become_payload(request, plan, ends);
  }

  Child child;
  child.fence = attempt.fence;
  child.pid = pid;
  child.channel = std::move(channel->ours);
  child.exec_error = std::move(exec_error->read_end);
  child.their_end = std::move(channel->theirs);
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
  switch (fence) {
    case ProcessFence::runtime: return "runtime";
    case ProcessFence::session: return "session";
    case ProcessFence::pid_namespace: return "pid_namespace";
  }
  return "session";
}

std::optional<ProcessFence> find_process_fence(std::string_view name) {
  for (const ProcessFence each :
       {ProcessFence::runtime, ProcessFence::session, ProcessFence::pid_namespace}) {
    if (name == name_of(each)) return each;
  }
  return std::nullopt;
}

Result<Child> spawn(const SpawnRequest& request) {
  if (request.argv.empty()) return fail(ErrorCode::usage, "", "no command to run");
  const ExecPlan plan = internal::plan_exec(request);
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
  pollfd lifeline{child.exec_error.get(), 0, 0};
  const bool gone = ::poll(&lifeline, 1, 0) > 0;
  if (!gone && send_word(child.channel.get(), Word::go)) return {};
  return fail(ErrorCode::vanished, "", "the payload is gone before its exec");
}

std::optional<int> exec_errno(const Child& child) {
  std::int32_t reason = 0;
  const ssize_t size =
      retry_on_interrupt([&] { return ::read(child.exec_error.get(), &reason, sizeof reason); });
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
