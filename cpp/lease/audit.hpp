// Audit: STATE/ledger/audit.UID.jsonl, one JSON object a line for every decision, written before what it tells of is done,
// so that whatever is found in a table has been explained.
//
//   {"at": "…Z", "boot_usec": 1234, "event": "granted", "lease": "3f9a…", "uid": 1000, "pid": 4711, "job": "123",
//    "units": ["0000:63:00.0"], "reason": "…"}
//
// Above a mebibyte the file becomes audit.UID.jsonl.1. Of the one that it replaces the lines of leases that still live are
// kept: they begin the new file, which is made ready as audit.UID.jsonl.new. Written under the ledger's lock.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/lease/lease.hpp"

namespace gpuctl::lease::internal {

// The ids of this user's leases that are not over.
using LiveLeases = std::function<std::vector<std::string>()>;

class Audit {
 public:
  // By the process `pid`, of the user that the node knows as `uid`.
  Audit(uid_t uid, pid_t pid, LiveLeases live = {});

  // The ledger's lock was free meanwhile: the file may have been put aside, which is looked for at the next line.
  void look_again() { ready_ = false; }

  // Events: requested, granted, releasing, released, repaired, void, expired, drained, undrained.
  Result<void> write(int ledger_fd, std::string_view event, const Lease& lease,
                     std::string_view reason);

  // The beginning and the end of a release that is sure, told in one write(2).
  Result<void> write_release(int ledger_fd, const Lease& lease, std::string_view reason);
  Result<void> write_about(int ledger_fd, std::string_view event, const std::string& unit_id,
                           std::string_view reason);

 private:
  Result<void> append(int ledger_fd, const std::string& line);
  Result<void> make_ready(int ledger_fd);
  Result<void> open_current(int ledger_fd);
  Result<void> reopen(int ledger_fd);
  bool is_put_aside(int ledger_fd) const;
  Result<void> put_aside(int ledger_fd);
  std::string lines_to_keep(int ledger_fd) const;

  uid_t uid_;
  uid_t owner_;  // the same as this user namespace has it
  pid_t pid_;
  LiveLeases live_;
  Fd fd_;
  bool ready_ = false;
  off_t size_ = 0;
};

// All lines of all users, oldest first. Under the ledger's lock.
std::vector<std::string> read_audit(int ledger_fd);

}  // namespace gpuctl::lease::internal
