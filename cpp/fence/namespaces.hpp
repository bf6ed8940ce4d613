// What the first process of a new pid namespace does before anything else. Runs in the child: no Result, errno only.
#pragma once

#include <sys/types.h>

namespace gpuctl::fence::internal {

// The step that failed, for words; errno has the reason.
const char* map_ids(uid_t uid, gid_t gid);  // nullptr: done
const char* mount_own_proc();

}  // namespace gpuctl::fence::internal
