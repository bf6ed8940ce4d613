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
#include "device_filter.hpp"
#include "payload_fence.hpp"

namespace gpuctl::fence {
namespace {

using internal::Attempt;
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
constexpr int kOpenTimeoutMs = 60'000;

// Strongest first; those that the caller does not want are left out.
std::vector<DeviceFence> devices_for(const SpawnRequest& request, ProcessFence process) {
  const bool in_namespace = process == ProcessFence::pid_namespace;
  std::vector<DeviceFence> all;
  const auto add = [&](DeviceFence each, bool possible) {
    if (possible && each <= request.strongest_device) all.push_back(each);
  };
  if (request.devices != nullptr) {
    const bool anything_to_refuse = !request.devices->refused.empty();
    const bool is_runtime = process == ProcessFence::runtime;
    add(DeviceFence::private_dev, in_namespace);
    add(DeviceFence::landlock,
        anything_to_refuse && (in_namespace || (request.restrict && !is_runtime)));
    add(DeviceFence::device_filter,
        anything_to_refuse && request.cgroup_fd >= 0 && ::geteuid() == 0);
  }
  all.push_back(DeviceFence::advisory);
  return all;
}

// The ways to try, strongest first. Root tries without a user namespace, so that it stays root of its files.
std::vector<Attempt> attempts(const SpawnRequest& request) {
  std::vector<Attempt> all;
  const auto add = [&](ProcessFence process, std::uint64_t flags, const char* words) {
    for (const DeviceFence device : devices_for(request, process))
      all.push_back({process, flags, device, words});
  };
  if (request.strongest == ProcessFence::pid_namespace) {
    constexpr std::uint64_t kNamespaces = CLONE_NEWPID | CLONE_NEWNS;
    if (::geteuid() == 0) add(ProcessFence::pid_namespace, kNamespaces, "a pid namespace");
    add(ProcessFence::pid_namespace, kNamespaces | CLONE_NEWUSER,
        "a pid namespace in a user namespace");
  }
  const bool runtime = request.strongest == ProcessFence::runtime;
  add(runtime ? ProcessFence::runtime : ProcessFence::session, 0, "a session");
  return all;
}

// What the payload proved is told in one word: it opened all of its own and none of the others'.
void take_proof(Child& child, const SpawnRequest& request, const Attempt& attempt,
                const Message& message) {
  const auto has = [&](internal::ReadyFlag flag) { return (message.value & flag) != 0; };
  child.cgroups_are_read_only = has(internal::cgroups_read_only);
  child.has_landlock = has(internal::landlock_on);
  child.has_seccomp = has(internal::seccomp_on);
  child.scopes_signals = has(internal::signals_scoped);
  child.proof.holds = has(internal::devices_proven);
  child.proof.failure = message.step;
  child.device = attempt.device;
  if (!child.proof.holds || request.devices == nullptr) return;
  const internal::ProofPaths paths = internal::proof_paths(*request.devices, attempt.device);
  child.proof.opened = paths.own;
  child.proof.refused = paths.others;
  if (attempt.device == DeviceFence::advisory && !paths.others.empty())
    child.device = DeviceFence::slot;
}

// Waits for the payload's word that it is ready, or for the word that it, or init, failed. To open a GPU can take its
// driver seconds.
Result<void> await_ready(Child& child, const SpawnRequest& request, const Attempt& attempt,
                         bool& other_device_may_do) {
  const bool opens = request.devices != nullptr && !request.devices->given.empty();
  const Result<Received> received = receive(
      child.channel.get(), opens ? kOpenTimeoutMs : kSetupTimeoutMs, child.exec_error.get());
  if (!received) return fail(received.error());
  const Message& message = received->message;
  other_device_may_do = message.word == Word::device_failed;
  if (message.word != Word::ready && message.value != 0)
    return fail_errno(message.value, "", std::string("cannot ") + message.step);
  if (message.word != Word::ready) return fail(ErrorCode::unavailable, "", message.step);
  child.payload = received->sender;
  take_proof(child, request, attempt, message);
  return {};
}

// The file by whose writing a process moves itself, opened by us: whoever opened it is whose rights count.
Result<Fd> open_procs(const SpawnRequest& request) {
  if (request.cgroup_fd < 0) return Fd();
  return open_at(request.cgroup_fd, "cgroup.procs", O_WRONLY | O_NOFOLLOW);
}

Result<Child> try_spawn(const SpawnRequest& request, const ExecPlan& plan, const Attempt& attempt,
                        bool& other_device_may_do) {
  other_device_may_do = false;
  const Result<Fd> procs = open_procs(request);
  if (!procs) return fail(procs.error());
  Result<Channel> channel = internal::make_channel();
  if (!channel) return fail(std::move(channel).error());
  Result<Pipe> exec_error = make_pipe();
  if (!exec_error) return fail(std::move(exec_error).error());
  const bool mapped = (attempt.flags & CLONE_NEWUSER) != 0;
  const std::optional<Ids> ids =
      mapped ? std::optional<Ids>(Ids{::geteuid(), ::getegid()}) : std::nullopt;

  if (attempt.device == DeviceFence::device_filter) {
    if (Result<void> done = internal::attach_device_filter(request.cgroup_fd, *request.devices);
        !done) {
      other_device_may_do = true;
      return fail(done.error());
    }
  }
  bool entered = false;
  const pid_t pid = clone_process(attempt.flags, request.cgroup_fd, &entered);
  if (pid < 0) return fail_errno(errno, "", std::string("cannot make ") + attempt.words);
  if (pid == 0) {
    ::close(channel->ours.release());
    ::close(exec_error->read_end.release());
    const internal::ChildEnds ends{channel->theirs.get(), exec_error->write_end.get(), false};
    if (*procs && !entered) internal::enter_cgroup(procs->get(), ends.channel);
    if (attempt.has_init()) internal::become_init(request, plan, attempt, ends, ids);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    internal::become_payload(request, plan, attempt, ends);
  }

  Child child;
  child.fence = attempt.fence;
  child.pid = pid;
  child.channel = std::move(channel->ours);
  child.exec_error = std::move(exec_error->read_end);
  child.their_end = std::move(channel->theirs);
  exec_error->write_end.reset();
  if (const Result<void> ready = await_ready(child, request, attempt, other_device_may_do);
      !ready) {
    ::kill(pid, SIGKILL);  // our own child, not yet reaped: the number is still its
    retry_on_interrupt([&] { return ::waitpid(pid, nullptr, __WALL); });
    return fail(ready.error());
  }
  return child;
}

std::string in_words(const Attempt& attempt) {
  const char* device = attempt.device == DeviceFence::advisory ? nullptr : name_of(attempt.device);
  return attempt.words + (device == nullptr ? "" : std::string(" with ") + device);
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
  std::optional<std::uint64_t>
      hopeless;  // flags with which nothing comes about, whatever the devices
  for (const Attempt& attempt : attempts(request)) {
    if (hopeless == attempt.flags) continue;
    bool other_device_may_do = false;
    Result<Child> child = try_spawn(request, plan, attempt, other_device_may_do);
    if (child) {
      child->notes = std::move(notes);
      return child;
    }
    if (!other_device_may_do) hopeless = attempt.flags;
    notes.push_back((other_device_may_do ? in_words(attempt) : attempt.words) + ": " +
                    child.error().message());
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
