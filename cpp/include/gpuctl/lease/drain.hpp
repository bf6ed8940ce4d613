// Drain: a unit that is to get no new jobs, by the administrator or by the health rules. A plain value.
//
// Each user writes its own file of drains; only those of root, of the state directory's owner and, where that directory
// belongs to a group (2770), of its members count. The latest word about a unit holds. A drained GPU takes its partitions
// along; the rest of the node goes on serving.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "gpuctl/base/clock.hpp"

namespace gpuctl::lease {

// Weakest first.
enum class DrainLevel { inform, no_new_jobs, evict };

const char* name_of(DrainLevel level);
std::optional<DrainLevel> drain_level(const std::string& name);

struct Drain {
  std::string unit_id;
  DrainLevel level = DrainLevel::no_new_jobs;
  std::string reason;
  std::string cause;  // "administrator", "health", "sanity"
  uid_t by_uid = 0;
  Usec at = 0;                 // real time
  std::optional<Usec> until;   // real time
  bool needs_check = false;    // undrain demands a passed sanity check
  bool lifted = false;         // this is the word that ends a drain
  std::uint64_t sequence = 0;  // the later word holds, whatever the clock says
};

}  // namespace gpuctl::lease
