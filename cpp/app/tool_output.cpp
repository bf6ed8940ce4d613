#include "tool_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"

namespace gpuctl::app {
namespace {

constexpr std::size_t kMaxOutputBytes = std::size_t{16} << 20;
constexpr int kNotFound = 127;
constexpr std::int64_t kUsecPerMs = 1000;
constexpr std::int64_t kReapPatienceUsec = 1000000;
constexpr useconds_t kReapPauseUsec = 2000;

// Between fork and exec: only what is safe there.
[[noreturn]] void become(const std::vector<char*>& argv, int output) {
  ::setpgid(0, 0);
  const int null = ::open(host_paths::kLiveNull, O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvp(argv.front(), argv.data());
  ::_exit(kNotFound);
}

// Reads until the end, the deadline, or too much of it. True: the end.
bool read_until(int fd, std::int64_t deadline_usec, ToolOutput& output) {
  std::array<char, 65536> buffer;  // NOLINT: filled by read(2)
  while (true) {
    const std::int64_t left = deadline_usec - monotonic_usec();
    if (left <= 0) return output.timed_out = true, false;
    pollfd readable{fd, POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(left / kUsecPerMs + 1)) <= 0) continue;
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return true;
    output.text.append(buffer.data(), static_cast<std::size_t>(size));
    if (output.text.size() > kMaxOutputBytes) return output.cut = true, false;
  }
}

// Waits no longer than `until_usec`: what sits in the kernel cannot be waited for.
std::optional<int> reap(pid_t pid, std::int64_t until_usec) {
  while (true) {
    int status = 0;
    const pid_t done = ::waitpid(pid, &status, WNOHANG);
    if (done == pid) return status;
    if (done < 0 && errno != EINTR) return std::nullopt;
    if (monotonic_usec() >= until_usec) return std::nullopt;
    ::usleep(kReapPauseUsec);
  }
}

}  // namespace

ToolOutput run_tool(const std::vector<std::string>& argv, std::int64_t deadline_usec) {
  ToolOutput output;
  std::vector<char*> pointers;
  for (const std::string& each : argv) pointers.push_back(const_cast<char*>(each.c_str()));
  pointers.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return output;
  const Fd in(ends[0]);
  Fd out(ends[1]);
  const std::int64_t until = monotonic_usec() + deadline_usec;
  const pid_t pid = ::fork();
  if (pid < 0) return output;
  if (pid == 0) become(pointers, out.get());
  ::setpgid(pid, pid);  // whichever of us is first
  out.reset();
  const bool ended = read_until(in.get(), until, output);
  std::optional<int> status = ended ? reap(pid, until) : std::nullopt;
  if (!status) {
    // Not reaped yet, so that its number and its group's are still its own.
    if (!output.cut) output.timed_out = true;
    ::kill(-pid, SIGKILL);
    status = reap(pid, monotonic_usec() + kReapPatienceUsec);
  }
  if (status && WIFEXITED(*status)) output.exit_status = WEXITSTATUS(*status);
  output.found = output.exit_status != kNotFound || !output.text.empty();
  return output;
}

}  // namespace gpuctl::app
