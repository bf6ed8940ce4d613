// Who we are outside the user namespace that we are in (user_namespaces(7), /proc/self/uid_map).
#pragma once

#include <sys/types.h>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl {

// A uid of ours as the namespace around ours has it: what the node knows us by, one level down. In a container's `root` it
// is the user's; `uid` itself where there is no namespace, or where the map does not say.
uid_t outer_uid(const HostFs& fs, uid_t uid);

// The effective one. Of the machine that we run on.
uid_t uid_on_node(const HostFs& live);

// Users of a user namespace are seen as one nobody there.
bool in_user_namespace(const HostFs& live);

}  // namespace gpuctl
