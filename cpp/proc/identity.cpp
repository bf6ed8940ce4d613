#include "gpuctl/proc/identity.hpp"

#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "pidfs.hpp"

namespace gpuctl::proc {
namespace {

// Modulo 2^64: it may be negative.
std::uint64_t ticks_ahead() {
  const Usec ahead = boottime_ahead_usec();
  return ahead == 0 ? 0 : static_cast<std::uint64_t>(ahead * ::sysconf(_SC_CLK_TCK) / kUsecPerSec);
}

std::string process_path(pid_t pid, const std::string& name) {
  return std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/" + name;
}

// After `unshare --pid` without a /proc of its own, the numbers there are those of other processes.
Result<void> require_own_proc(const HostFs& fs) {
  const Result<Dir> proc = fs.open_dir(host_paths::kProc);
  if (!proc) return fail(proc.error());
  const Result<std::optional<std::string>> self = proc->link_target("self");
  if (!self) return fail(self.error());
  if (*self && **self == std::to_string(::getpid())) return {};
  return fail(
      ErrorCode::unavailable, proc->path(),
      "it does not show this pid namespace: mount one that does (`mount -t proc proc /proc`)");
}

// Nobody has the number, or a thread has it now. Everything else leaves the question open; so does a process that is
// not in /proc and can be signalled: hidepid hides it (its own user's too, where it is not dumpable).
Liveness judge_without_handle(const Error& error, pid_t pid) {
  if (error.errno_value == ENOENT && (::kill(pid, 0) == 0 || errno == EPERM))
    return Liveness::unknown;
  const bool gone = error.code == ErrorCode::not_found || error.code == ErrorCode::vanished;
  return gone ? Liveness::dead : Liveness::unknown;
}

}  // namespace

Result<std::string> read_boot_id(const HostFs& fs) { return fs.read_file(host_paths::kBootId); }

Result<std::uint64_t> read_namespace(const HostFs& fs, pid_t pid, const char* kind) {
  Result<Dir> directory = fs.open_dir(process_path(pid, "ns"));
  if (!directory) return fail(directory.error());
  const Result<std::optional<std::string>> target = directory->link_target(kind);
  if (!target) return fail(target.error());
  if (!*target)
    return fail(ErrorCode::unsupported, directory->path(),
                std::string("no `") + kind + "` namespace");
  const std::string_view text = **target;  // "pid:[4026531836]"
  const std::size_t open = text.find('[');
  if (open == std::string_view::npos || text.back() != ']') {
    return fail(ErrorCode::malformed, directory->path(),
                "not a namespace: `" + printable(text) + "`");
  }
  return parse_unsigned(text.substr(open + 1, text.size() - open - 2), "namespace");
}

Result<Here> read_here(const HostFs& fs) {
  if (Result<void> own = require_own_proc(fs); !own) return fail(own.error());
  const Result<std::string> boot_id = read_boot_id(fs);
  if (!boot_id) return fail(boot_id.error());
  const Result<std::uint64_t> pid_namespace = read_namespace(fs, ::getpid(), "pid");
  if (!pid_namespace) return fail(pid_namespace.error());
  return Here{*boot_id, *pid_namespace};
}

std::uint64_t machine_ticks(std::uint64_t shown_ticks) { return shown_ticks - ticks_ahead(); }

std::uint64_t shown_ticks(const Identity& identity) { return identity.start_ticks + ticks_ahead(); }

Result<Identity> identify(const HostFs& fs, const Here& here, pid_t pid) {
  const Result<Handle> handle = Handle::open(fs, pid);
  if (!handle) return fail(handle.error());
  return handle->identify(fs, here);
}

Liveness judge(const HostFs& fs, const Identity& identity) {
  const Result<std::string> boot_id = read_boot_id(fs);
  if (!boot_id) return Liveness::unknown;
  if (*boot_id != identity.boot_id) return Liveness::dead;
  const Result<std::uint64_t> here = read_namespace(fs, ::getpid(), "pid");
  if (!here || *here != identity.pid_namespace) return Liveness::unknown;

  const Result<Handle> handle = Handle::open(fs, identity.pid);
  if (!handle) return judge_without_handle(handle.error(), identity.pid);
  if (handle->has_ended(fs)) return Liveness::dead;
  if (handle->kind() == Handle::Kind::pidfd && identity.pidfs_inode) {
    if (const std::optional<std::uint64_t> inode = internal::unique_inode(handle->fd()))
      return *inode == *identity.pidfs_inode ? Liveness::alive : Liveness::dead;
  }
  const Result<Stat> stat = handle->read_stat(fs);
  if (!stat) return handle->exists() ? Liveness::unknown : Liveness::dead;  // hidepid
  const bool same = machine_ticks(stat->start_ticks) == identity.start_ticks;
  return same ? Liveness::alive : Liveness::dead;
}

void store(Record& record, const std::string& prefix, const Identity& identity) {
  record.add(prefix, "boot_id", identity.boot_id);
  record.add(prefix, "pid_namespace", identity.pid_namespace);
  record.add(prefix, "pid", static_cast<std::uint64_t>(identity.pid));
  record.add(prefix, "start_ticks", identity.start_ticks);
  if (identity.pidfs_inode) record.add(prefix, "pidfs_inode", *identity.pidfs_inode);
}

Result<Identity> load_identity(const Record& record, const std::string& prefix) {
  const Result<std::string> boot_id = record.get(prefix + ".boot_id");
  if (!boot_id) return fail(boot_id.error());
  const Result<std::uint64_t> pid_namespace = record.get_unsigned(prefix + ".pid_namespace");
  if (!pid_namespace) return fail(pid_namespace.error());
  const Result<std::uint64_t> pid = record.get_unsigned(prefix + ".pid");
  if (!pid) return fail(pid.error());
  const Result<std::uint64_t> start_ticks = record.get_unsigned(prefix + ".start_ticks");
  if (!start_ticks) return fail(start_ticks.error());
  if (*pid == 0 || *pid > 0x7fffffff)
    return fail(ErrorCode::malformed, prefix + ".pid", "not a pid");

  Identity identity{*boot_id, *pid_namespace, static_cast<pid_t>(*pid), *start_ticks, std::nullopt};
  if (record.find(prefix + ".pidfs_inode")) {
    const Result<std::uint64_t> inode = record.get_unsigned(prefix + ".pidfs_inode");
    if (!inode) return fail(inode.error());
    identity.pidfs_inode = *inode;
  }
  return identity;
}

}  // namespace gpuctl::proc
