// Identity: what makes a process that process, and nobody who got its pid later.
//
// Pids are reused (a busy machine goes through 32768 of them in two seconds) and start times have ticks of 10 ms, so
// (pid, start time) alone is not an identity. The kernel's own is the inode of its pidfd on pidfs (Linux 6.9);
// older kernels leave start time, boot id and the pid namespace that the number was read in.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/record.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::proc {

struct Identity {
  std::string boot_id;
  std::uint64_t pid_namespace = 0;  // inode of the namespace in which `pid` is its number
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // machine_ticks(): the same in every time namespace
  std::optional<std::uint64_t> pidfs_inode;
};

// A start time as our /proc shows it, without what our time namespace adds to it; and back, to compare with Stat.
std::uint64_t machine_ticks(std::uint64_t shown_ticks);
std::uint64_t shown_ticks(const Identity& identity);

// `unknown`: recorded in another pid namespace, where its number means nothing here. Treat it as alive.
enum class Liveness { alive, dead, unknown };

Result<std::string> read_boot_id(const HostFs& fs);

// The inode of a process's namespace: kind is "pid", "user", "net", ...
Result<std::uint64_t> read_namespace(const HostFs& fs, pid_t pid, const char* kind);

inline constexpr std::uint64_t kInitialPidNamespace =
    0xeffffffc;  // PROC_PID_INIT_INO: whoever is in it sees all

// Where a pid has its meaning: read once, it is the same for all that we look at.
struct Here {
  std::string boot_id;
  std::uint64_t pid_namespace = 0;  // ours
};

// ErrorCode::unavailable when /proc is that of another pid namespace: its numbers mean nothing to us.
Result<Here> read_here(const HostFs& fs);

Result<Identity> identify(const HostFs& fs, const Here& here, pid_t pid);
Liveness judge(const HostFs& fs, const Identity& identity);

// pidfd_open(2); ErrorCode::unsupported on kernels before 5.3, vanished when the process is gone.
Result<Fd> open_pidfd(pid_t pid);

// A hold on one process. Whoever gets its number later, what is asked here is answered for that process or not at all.
//
// A pidfd; where the kernel has none (EL8) or refuses it, an open /proc/PID directory, whose files end with ESRCH once
// the process is reaped. Both may be given to pidfd_send_signal(2) where that exists (5.1). Closed with the object.
//
//   Result<Handle> handle = Handle::open(fs, pid);
//   Result<Stat> stat = handle->read_stat_of_living(fs);  // of that process, whatever the number means by now
//   if (stat && stat->start_ticks == wanted.start_ticks) …
class Handle {
 public:
  enum class Kind { pidfd, proc_dir };

  // Of a process, not of one of its threads. ErrorCode::vanished or not_found when there is none.
  static Result<Handle> open(const HostFs& fs, pid_t pid);

  pid_t pid() const { return pid_; }
  Kind kind() const { return kind_; }

  // For poll(2) (readable: ended; a pidfd only) and pidfd_send_signal(2).
  int fd() const { return fd_.get(); }

  // Not reaped yet: a zombie still exists.
  bool exists() const;

  // No thread of it lives any more. A first thread that ended before the others is no end.
  bool has_ended(const HostFs& fs) const;

  // ErrorCode::vanished once it is reaped.
  Result<Stat> read_stat(const HostFs& fs) const;

  // The same of one that has not ended: a zombie is `vanished` too. A call less than to ask both.
  Result<Stat> read_stat_of_living(const HostFs& fs) const;

  Result<Identity> identify(const HostFs& fs, const Here& here) const;

 private:
  Handle(Fd fd, pid_t pid, Kind kind) : fd_(std::move(fd)), pid_(pid), kind_(kind) {}
  Result<std::string> read_proc_file(const char* name) const;
  Result<Stat> read_stat_now(const HostFs& fs) const;

  Fd fd_;
  pid_t pid_;
  Kind kind_;
};

// The process that the thread `tid` belongs to: itself for a process. /proc opens for threads too.
Result<pid_t> thread_group_of(const HostFs& fs, pid_t tid);

// Keys PREFIX.boot_id, PREFIX.pid, ... of a record.
void store(Record& record, const std::string& prefix, const Identity& identity);
Result<Identity> load_identity(const Record& record, const std::string& prefix);

}  // namespace gpuctl::proc
