// What a job wants of the node's GPUs, and what it got.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "gpuctl/lease/request.hpp"

namespace gpuctl::job {

struct GpuOrder {
  std::string root = "/";            // whose hardware
  gpu::DiscoverOptions discover;     // the slot's allotment with it
  lease::Request request;            // its job's name is filled in by the supervisor
  std::optional<std::string> lease;  // units of this lease instead: its holder gives them back
  // GPUCTL_LEASE_FILE, as the agent that holds `lease` handed it in: what counts where its ledger is out of reach.
  std::optional<std::string> lease_file;
  std::optional<Usec> wait;  // for GPUs that are taken
  lease::Scope scope = lease::Scope::node;
};

// The node as the job found it, and its part of it.
struct GivenGpus {
  std::vector<gpu::Gpu> node;  // as the inventory has them
  std::vector<gpu::Gpu> assigned;
  std::string lease_id;
  std::optional<std::string> lease_file;  // what the payload may read of it
  bool elsewhere = false;  // told by the agent's lease file: no ledger that we see has it
};

}  // namespace gpuctl::job
