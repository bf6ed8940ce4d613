// Leases and history as a person reads them.
#pragma once

#include <string>

#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/lease/ledger.hpp"

namespace gpuctl::app {

std::string status_text(const gpu::Inventory& inventory, const lease::View& view);

// One line of the audit log; empty for one that is no JSON.
std::string history_line(const std::string& json_line);

}  // namespace gpuctl::app
