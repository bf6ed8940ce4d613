// The inventory as JSON: schema "gpuctl.discover/1", docs/schema/discover.json.
#pragma once

#include "gpuctl/base/json.hpp"
#include "gpuctl/gpu/inventory.hpp"

namespace gpuctl::gpu {

Json to_json(const Gpu& gpu);
Json to_json(const Inventory& inventory);

}  // namespace gpuctl::gpu
