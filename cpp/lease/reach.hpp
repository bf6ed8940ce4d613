// Reach: is this ledger the node's, or only that of a slot or container.
//
// A ledger that not everybody on the node sees would give a GPU twice. What is looked at: the network namespace, since
// flock(2) on sysfs does not cross it, and whether the state directory is on a file system that the node's own processes
// see there too. `certain` is false where nothing speaks against it and nothing proves it.
#pragma once

#include <string>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/lease/ledger.hpp"

namespace gpuctl::lease::internal {

struct Reach {
  bool is_node = true;
  bool certain = true;
  std::string why;  // what speaks against it, or why it is not certain
};

// `state`: the directory, opened, at `path`; `named`: the caller chose it and so says whose it is.
Reach reach_of(const HostFs& live, int state_fd, const std::string& path, bool named,
               bool live_hardware);

}  // namespace gpuctl::lease::internal
