#include "gpuctl/base/tool.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl {
namespace {

constexpr std::size_t kMostKept = std::size_t{64} << 10;
constexpr int kLookForEndMs =
    1;  // once it has closed its outputs it ends at once, or it is one that hangs

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts)
    result.push_back(const_cast<char*>(text.c_str()));  // NOLINT: execve's type
  result.push_back(nullptr);
  return result;
}

struct Pipes {
  Pipe out;
  Pipe err;
  Pipe exec_error;
};

Result<Pipes> make_pipes() {
  Result<Pipe> out = make_pipe();
  Result<Pipe> err = make_pipe();
  Result<Pipe> exec_error = make_pipe();
  for (const Result<Pipe>* each : {&out, &err, &exec_error}) {
    if (!*each) return fail(each->error());
  }
  return Pipes{std::move(*out), std::move(*err), std::move(*exec_error)};
}

void default_signals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become_tool(char* const* argv, char** environment, const Pipes& pipes,
                              pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(125);  // it died before that was set
  ::setsid();
  const int null = ::open(host_paths::kLiveNull, O_RDWR | O_CLOEXEC);
  const bool ready = null >= 0 && ::dup2(null, STDIN_FILENO) >= 0 &&
                     ::dup2(pipes.out.write_end.get(), STDOUT_FILENO) >= 0 &&
                     ::dup2(pipes.err.write_end.get(), STDERR_FILENO) >= 0;
  default_signals();
  ::environ = environment;  // execvp looks PATH up there
  if (ready) ::execvp(argv[0], argv);
  const int reason = errno;
  ::_exit(::write(pipes.exec_error.write_end.get(), &reason, sizeof reason) == sizeof reason ? 127
                                                                                             : 126);
}

// A running tool; killed and reaped at the end whatever happens.
class Running {
 public:
  Running(pid_t pid, Pipes pipes) : pid_(pid), pipes_(std::move(pipes)) {
    pipes_.out.write_end.reset();
    pipes_.err.write_end.reset();
    pipes_.exec_error.write_end.reset();
  }
  ~Running() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);  // our own child, not yet reaped: the number is still its
    retry_on_interrupt([&] { return ::waitpid(pid_, nullptr, 0); });
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // 0 once it has exec'ed.
  int read_exec_errno() {
    int reason = 0;
    const ssize_t size = retry_on_interrupt(
        [&] { return ::read(pipes_.exec_error.read_end.get(), &reason, sizeof reason); });
    return size == static_cast<ssize_t>(sizeof reason) ? reason : 0;
  }

  // True when it ended before `deadline`.
  bool finish(Usec deadline, ToolEnd& end) {
    while (is_open()) {
      if (!read_some(deadline, end)) return false;
    }
    while (true) {
      const pid_t ended = ::waitpid(pid_, &end.wait_status, WNOHANG);
      if (ended == pid_ || (ended < 0 && errno == ECHILD)) {
        pid_ = -1;
        return true;
      }
      if (monotonic_usec() >= deadline) return false;
      ::poll(nullptr, 0, kLookForEndMs);
    }
  }

 private:
  bool is_open() const { return pipes_.out.read_end || pipes_.err.read_end; }

  bool read_some(Usec deadline, ToolEnd& end) {
    const Usec left = deadline - monotonic_usec();
    if (left <= 0) return false;
    std::array<pollfd, 2> waiting{
        {{pipes_.out.read_end.get(), POLLIN, 0}, {pipes_.err.read_end.get(), POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), static_cast<int>(left / 1000 + 1));
    if (waiting[0].revents != 0) take(pipes_.out.read_end, end.out);
    if (waiting[1].revents != 0) take(pipes_.err.read_end, end.err);
    return true;
  }

  static void take(Fd& from, std::string& into) {
    std::array<char, 4096> piece{};
    const ssize_t size =
        retry_on_interrupt([&] { return ::read(from.get(), piece.data(), piece.size()); });
    if (size <= 0) return from.reset();
    into.append(piece.data(), std::min(static_cast<std::size_t>(size), kMostKept - into.size()));
  }

  pid_t pid_;
  Pipes pipes_;
};

std::string last_line(std::string_view text) {
  text = trim(text);
  const std::size_t begin = text.rfind('\n');
  return printable(begin == std::string_view::npos ? text : text.substr(begin + 1));
}

}  // namespace

bool ToolEnd::exited_with(int code) const {
  return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == code;
}

std::string ToolEnd::words() const {
  for (const std::string* said : {&err, &out}) {
    if (std::string line = last_line(*said); !line.empty()) return line;
  }
  return WIFEXITED(wait_status) ? "exit code " + std::to_string(WEXITSTATUS(wait_status))
                                : "signal " + std::to_string(WTERMSIG(wait_status));
}

Result<ToolEnd> run_tool(const ToolCall& call) {
  if (call.argv.empty()) return fail(ErrorCode::usage, "", "no program to run");
  const std::string& name = call.argv[0];
  const Usec deadline = monotonic_usec() + call.timeout;
  Result<Pipes> pipes = make_pipes();
  if (!pipes) return fail(pipes.error());
  const std::vector<char*> argv = pointers(call.argv);
  std::vector<char*> environment = pointers(call.environment);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, name, "cannot make a process");
  if (pid == 0) become_tool(argv.data(), environment.data(), *pipes, parent);

  Running tool(pid, std::move(*pipes));
  if (const int reason = tool.read_exec_errno(); reason != 0)
    return fail_errno(reason, name, "cannot be started");
  ToolEnd end;
  if (tool.finish(deadline, end)) return end;
  return fail(ErrorCode::timeout, name,
              "killed after " + format_duration(call.timeout) + "; it said `" +
                  last_line(end.err.empty() ? end.out : end.err) + "`");
}

}  // namespace gpuctl
