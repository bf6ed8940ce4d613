#include "tries.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "device_filter.hpp"
#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/without.hpp"
#include "gpuctl/fence/restrict.hpp"
#include "gpuctl/fence/spawn.hpp"

namespace gpuctl::fence::internal {
namespace {

constexpr const char* kTrue = "true";

Tried works(std::string detail = "") { return {true, 0, std::move(detail)}; }
Tried failed(const std::string& what, int errno_value = errno) {
  return {false, errno_value, errno_value == 0 ? what : what + ": " + std::strerror(errno_value)};
}

// The payload is made and proven, and never released.
Tried try_spawn(ProcessFence process, const DevicePlan* devices, DeviceFence device) {
  SpawnRequest request;
  request.argv = {kTrue};
  request.strongest = process;
  request.devices = devices;
  request.strongest_device = device;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const Result<Child> child = spawn(request);
  if (!child) return failed(child.error().message(), 0);
  ::kill(child->pid, SIGKILL);  // not yet reaped: the number is its
  ::waitpid(child->pid, nullptr, __WALL);
  std::string notes;
  for (const std::string& note : child->notes) notes += (notes.empty() ? "" : "; ") + note;
  if (child->fence != process || child->device != device) return failed(notes, 0);
  return works(notes.empty() ? "" : "after: " + notes);
}

Tried try_user_namespace() {
  if (without().namespaces) return failed("cannot make a user namespace", ENOSPC);
  if (::unshare(CLONE_NEWUSER) == 0) return works();
  return failed("cannot make a user namespace");
}

Tried try_pid_namespace() {
  return try_spawn(ProcessFence::pid_namespace, nullptr, DeviceFence::advisory);
}

Tried try_private_dev() {
  const DevicePlan plan;
  return try_spawn(ProcessFence::pid_namespace, &plan, DeviceFence::private_dev);
}

Tried try_landlock_files() {
  Restrictions wanted;
  wanted.refused_nodes = {host_paths::kLiveNull};
  wanted.scope_signals = false;
  wanted.seccomp = false;
  const Result<Restricted> done = restrict_self(wanted);
  if (!done) return failed(done.error().message(), 0);
  const Fd refused(::open(host_paths::kLiveNull, O_RDWR | O_CLOEXEC));
  if (refused) return failed("a refused node opens all the same", 0);
  return works("version " + std::to_string(landlock_abi()));
}

Tried try_landlock_signals() {
  Restrictions wanted;
  wanted.seccomp = false;
  const Result<Restricted> done = restrict_self(wanted);
  if (!done) return failed(done.error().message(), 0);
  if (done->scopes_signals) return works();
  return failed(done->notes.empty() ? "its parent can be signalled all the same" : done->notes[0],
                0);
}

Tried try_seccomp() {
  Restrictions wanted;
  wanted.landlock = false;
  const Result<Restricted> done = restrict_self(wanted);
  if (!done || !done->seccomp) return failed(done ? done->notes[0] : done.error().message(), 0);
  if (::kill(-1, 0) == 0 || errno != EPERM) return failed("the filter lets `kill -1` through", 0);
  return works();
}

Tried try_device_filter() {
  const Result<void> loaded = can_load_device_filter();
  if (!loaded) return failed(loaded.error().message(), 0);
  return works("whether the job's cgroup takes it is tried at each start");
}

Tried try_own_user() {
  if (::geteuid() == 0) return works("root may give each job a user of its own");
  return failed("one user for all jobs: only root can give each its own", 0);
}

// Rights that setuid programs give are lost in a user namespace: only root has its namespaces without one.
Tried try_setuid_programs() {
  if (::geteuid() == 0 && try_pid_namespace().works) return works();
  return failed(
      "in a user namespace setuid programs gain nothing (Apptainer's starter-suid, fusermount, "
      "nvidia-modprobe, sudo)",
      0);
}

constexpr char kSeparator = '\n';

std::string to_line(const Tried& tried) {
  return std::to_string(tried.works ? 1 : 0) + kSeparator + std::to_string(tried.errno_value) +
         kSeparator + tried.detail;
}

Tried from_line(const std::string& line) {
  const std::size_t first = line.find(kSeparator);
  const std::size_t second = line.find(kSeparator, first + 1);
  if (first == std::string::npos || second == std::string::npos)
    return failed("it ended without a word", 0);
  const Result<std::uint64_t> number =
      parse_unsigned(line.substr(first + 1, second - first - 1), "errno", 10, 4095);
  return {line[0] == '1', number ? static_cast<int>(*number) : 0, line.substr(second + 1)};
}

[[noreturn]] void try_and_tell(Tried (*run)(), int to) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::string line = to_line(run());
  const bool told = write_all(to, line, "").has_value();
  ::_exit(told ? 0 : 1);
}

}  // namespace

const std::vector<Try>& kernel_tries() {
  static const std::vector<Try> tries = {
      {"user_namespace", "namespaces without privilege", try_user_namespace},
      {"pid_namespace", "processes that see and signal nobody outside", try_pid_namespace},
      {"private_dev", "a /dev of the payload's own", try_private_dev},
      {"landlock_files", "device nodes refused on every path", try_landlock_files},
      {"landlock_signals", "signals kept in without a namespace", try_landlock_signals},
      {"seccomp", "system calls refused by their arguments", try_seccomp},
      {"device_filter", "device nodes refused by number in a cgroup", try_device_filter},
      {"own_user", "a user for each job", try_own_user},
      {"setuid_programs", "setuid programs behind the full fence", try_setuid_programs},
  };
  return tries;
}

Tried run_apart(Tried (*run)(), int timeout_ms) {
  Result<Pipe> pipe = make_pipe();
  if (!pipe) return failed(pipe.error().message(), 0);
  const pid_t child = ::fork();
  if (child < 0) return failed("cannot fork");
  if (child == 0) try_and_tell(run, pipe->write_end.get());
  pipe->write_end.reset();
  pollfd waiting{pipe->read_end.get(), POLLIN, 0};
  const int ready = retry_on_interrupt([&] { return ::poll(&waiting, 1, timeout_ms); });
  Tried tried = failed("no answer in " + std::to_string(timeout_ms / 1000) + " s", 0);
  if (ready > 0) {
    const Result<std::string> line = read_all(pipe->read_end.get(), 65536, "");
    tried = line ? from_line(*line) : failed(line.error().message(), 0);
  }
  ::kill(child, SIGKILL);
  retry_on_interrupt([&] { return ::waitpid(child, nullptr, __WALL); });
  return tried;
}

}  // namespace gpuctl::fence::internal
