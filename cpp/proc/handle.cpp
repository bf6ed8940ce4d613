#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/base/without.hpp"
#include "gpuctl/proc/identity.hpp"
#include "pidfs.hpp"

namespace gpuctl::proc {
namespace {

constexpr std::uint64_t kPidfsMagic = 0x50494446;  // "PIDF", PID_FS_MAGIC of <linux/magic.h>

std::string process_path(pid_t pid) {
  return std::string(host_paths::kProc) + "/" + std::to_string(pid);
}

Failure not_a_process(pid_t pid, pid_t group) {
  return fail(ErrorCode::not_found, std::to_string(pid),
              "no process but a thread of process " + std::to_string(group));
}

// No such call, or a container's filter refuses it; anything else is about the process or about us.
bool has_no_pidfds(const Error& error) {
  return error.errno_value == 0 || error.errno_value == ENOSYS || error.errno_value == EPERM;
}

// What pidfd_open(2) says to a thread that is not the first: EINVAL, since 6.15 ENOENT.
bool may_be_a_thread(const Error& error) {
  return error.errno_value == EINVAL || error.errno_value == ENOENT;
}

// The number after "Tgid:" of proc_pid_status(5).
Result<pid_t> parse_thread_group(std::string_view status) {
  constexpr std::string_view kKey = "\nTgid:\t";
  const std::size_t at = status.find(kKey);
  if (at == std::string_view::npos) return fail(ErrorCode::malformed, "status", "no `Tgid`");
  const std::string_view rest = status.substr(at + kKey.size());
  const Result<std::uint64_t> pid =
      parse_unsigned(rest.substr(0, rest.find('\n')), "`Tgid`", 10, 0x7fffffff);
  if (!pid) return fail(pid.error());
  return static_cast<pid_t>(*pid);
}

bool is_readable(int pidfd) {
  pollfd end{pidfd, POLLIN, 0};
  return ::poll(&end, 1, 0) > 0;
}

}  // namespace

namespace internal {

std::optional<std::uint64_t> unique_inode(int pidfd) {
  struct statfs file_system{};
  struct stat status{};
  if (::fstatfs(pidfd, &file_system) != 0 ||
      static_cast<std::uint64_t>(file_system.f_type) != kPidfsMagic)
    return {};
  if (::fstat(pidfd, &status) != 0) return {};
  return status.st_ino;
}

}  // namespace internal

Result<Fd> open_pidfd(pid_t pid) {
  if (without().pidfd)
    return fail(ErrorCode::unsupported, std::to_string(pid), "no pidfds, as the test wants it");
  Fd fd(static_cast<int>(::syscall(syscall_numbers::kPidfdOpen, pid, 0)));
  if (!fd) return fail_errno(errno, std::to_string(pid), "cannot open a pidfd");
  return fd;
}

Result<pid_t> thread_group_of(const HostFs& fs, pid_t tid) {
  const Result<std::string> status = fs.read_file(process_path(tid) + "/status");
  if (!status) return fail(status.error());
  return parse_thread_group("\n" + *status);
}

Result<Handle> Handle::open(const HostFs& fs, pid_t pid) {
  if (pid <= 0) return fail(ErrorCode::usage, std::to_string(pid), "not the number of a process");
  if (fs.is_live()) {  // the numbers of a recorded machine are other processes here
    Result<Fd> pidfd = open_pidfd(pid);
    if (pidfd) return Handle(std::move(*pidfd), pid, Kind::pidfd);
    if (!has_no_pidfds(pidfd.error()) && !may_be_a_thread(pidfd.error()))
      return fail(pidfd.error());
  }
  Result<Fd> directory = fs.open_path(process_path(pid), O_RDONLY | O_DIRECTORY);
  if (!directory) return fail(directory.error());
  Handle handle(std::move(*directory), pid, Kind::proc_dir);
  const Result<std::string> status = handle.read_proc_file("status");
  if (!status) return fail(status.error());
  const Result<pid_t> group = parse_thread_group("\n" + *status);
  if (!group) return fail(group.error());
  if (*group != pid) return not_a_process(pid, *group);
  return handle;
}

Result<std::string> Handle::read_proc_file(const char* name) const {
  const std::string path = process_path(pid_) + "/" + name;
  const Result<Fd> file = open_at(fd_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) return fail_errno(file.error().errno_value, path, "cannot open");
  Result<std::string> text = read_all(file->get(), kMaxKernelFileBytes, path);
  if (text && !text->empty() && text->back() == '\n') text->pop_back();
  return text;
}

// Signal 0 is the question whether there is somebody to signal, and nothing more.
bool Handle::exists() const {
  if (kind_ == Kind::proc_dir) return ::faccessat(fd_.get(), "stat", F_OK, 0) == 0;
  return ::syscall(syscall_numbers::kPidfdSendSignal, fd_.get(), 0, nullptr, 0) == 0 ||
         errno != ESRCH;
}

bool Handle::has_ended(const HostFs& fs) const {
  if (kind_ == Kind::pidfd) return is_readable(fd_.get());
  const Result<Stat> stat = read_stat(fs);
  return stat ? stat->is_dead() : !exists();
}

// By its number: whose that was is to be asked afterwards.
Result<Stat> Handle::read_stat_now(const HostFs& fs) const {
  return kind_ == Kind::pidfd ? proc::read_stat(fs, pid_) : read_stat_in(fd_.get(), pid_);
}

// The number was read; it was still our process's if that has not been reaped even now.
Result<Stat> Handle::read_stat(const HostFs& fs) const {
  Result<Stat> stat = read_stat_now(fs);
  if (!exists()) return fail(ErrorCode::vanished, process_path(pid_), "the process has ended");
  return stat;
}

Result<Stat> Handle::read_stat_of_living(const HostFs& fs) const {
  Result<Stat> stat = read_stat_now(fs);
  const bool ended = kind_ == Kind::pidfd ? is_readable(fd_.get()) : !exists();
  if (ended || (stat && stat->is_dead()))
    return fail(ErrorCode::vanished, process_path(pid_), "the process has ended");
  return stat;
}

Result<Identity> Handle::identify(const HostFs& fs, const Here& here) const {
  const Result<Stat> stat = read_stat(fs);
  if (!stat) return fail(stat.error());
  Identity identity{here.boot_id, here.pid_namespace, pid_, machine_ticks(stat->start_ticks),
                    std::nullopt};
  if (kind_ == Kind::pidfd) identity.pidfs_inode = internal::unique_inode(fd_.get());
  return identity;
}

}  // namespace gpuctl::proc
