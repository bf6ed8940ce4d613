// What a slot of a table holds, as text: the lease, what it asked for, and where its payload lives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpuctl/base/record.hpp"
#include "table.hpp"

namespace gpuctl::lease::internal {

// A lease as it is on record, with its place.
struct Stored {
  Lease lease;
  std::size_t slot = 0;
  Entry entry;
  std::size_t wanted = 0;  // how many units were asked for
  std::vector<std::string>
      candidates;  // of one that waits: ids that would do, those it likes best first
  std::optional<std::string> owner_cgroup;  // of a recorded lease: the job's
  std::optional<std::string>
      defect;  // why it cannot be understood; its units are then all that are not known free
};

std::string body_text(const Stored& stored);
std::string payload_text(const Payload& payload);

// Never fails: what cannot be understood says so in `defect`.
Stored load(const Table& table, const Slot& slot);

std::uint64_t nonce_head(const std::string& nonce);

}  // namespace gpuctl::lease::internal
