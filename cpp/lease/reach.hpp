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

// Our uid as the node knows it, in a user namespace one level down too.
uid_t uid_on_node(const HostFs& live);

// Users of a user namespace are seen as one nobody there.
bool in_user_namespace(const HostFs& live);

}  // namespace gpuctl::lease::internal
