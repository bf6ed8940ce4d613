// UnitLock: flock(2) on the directory of a unit's GPU below /sys/bus/pci/devices, for as long as the object lives.
//
// LOCK_EX for a whole GPU, LOCK_SH on the parent for a part of one: the ledger keeps the parts of one GPU apart. It holds
// across mount namespaces and separate mounts of sysfs, not across network namespaces. An unprivileged user can take it:
// what a hostile one can do with that stands in docs/design/trust.md.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/tree.hpp"
#include "gpuctl/lease/lease.hpp"

namespace gpuctl::lease::internal {

class UnitLock {
 public:
  // ErrorCode::busy when somebody else holds it; not_found or vanished when the GPU has left.
  static Result<UnitLock> take(const HostFs& hardware, const Unit& unit);

  int fd() const { return fd_.get(); }

  // For those who may share the descriptor (a forked child): closing alone would leave it locked.
  void unlock();

 private:
  explicit UnitLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// Which file the lock is on.
Result<FileId> lock_file_of(const HostFs& hardware, const Unit& unit);

// Pids that have one of these files open, as far as their descriptors may be read.
std::vector<pid_t> who_has_open(const HostFs& processes, const std::vector<FileId>& files);

}  // namespace gpuctl::lease::internal
