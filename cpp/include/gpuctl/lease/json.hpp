// The JSON of this room's values: one place for the keys. See docs/schema/status.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/json.hpp"
#include "gpuctl/lease/drain.hpp"
#include "gpuctl/lease/lease.hpp"
#include "gpuctl/lease/ledger.hpp"

namespace gpuctl::lease {

Json to_json(const Lease& lease);
Json to_json(const Drain& drain);

// A problem of the ledger, in the shape that problems of the inventory have.
Json problem_json(const Error& error);

// A unit of a lease that the node does not have any more, or has at another address. The lease stays until it is proven over.
struct LostUnit {
  std::string lease_id;
  Unit unit;
  std::optional<std::string> moved_to;  // the id that it has now
};

std::vector<LostUnit> lost_units(const std::vector<gpu::Gpu>& gpus, const View& view);
std::string words_of(const LostUnit& lost);
Json problem_json(const LostUnit& lost);  // code `gpu_gone` or `gpu_moved`

// The GPU's record with `available`, `lease_id` and `drain` (a level, or null).
Json unit_json(const gpu::Gpu& gpu, const View& view);

// Usable, allotted, not leased and not drained.
bool is_available(const gpu::Gpu& gpu, const View& view);

// What a payload is told of its lease, in a file: docs/schema/lease-file.json. `lease_id`: nullopt where there is none.
Json lease_file_json(const std::optional<std::string>& lease_id, const std::vector<gpu::Gpu>& gpus);

// "pid 4711 `train` holds /dev/nvidia0; …"
std::string blocker_words(const Lease& lease);

}  // namespace gpuctl::lease
