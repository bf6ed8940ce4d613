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

namespace gpuctl::proc {

struct Identity {
  std::string boot_id;
  std::uint64_t pid_namespace = 0;  // inode of the namespace in which `pid` is its number
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
  std::optional<std::uint64_t> pidfs_inode;
};

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

// Keys PREFIX.boot_id, PREFIX.pid, ... of a record.
void store(Record& record, const std::string& prefix, const Identity& identity);
Result<Identity> load_identity(const Record& record, const std::string& prefix);

}  // namespace gpuctl::proc
