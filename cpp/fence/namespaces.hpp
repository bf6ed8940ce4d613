// What the first process of a new pid namespace does before anything else. Runs in the child: no Result, errno only.
#pragma once

#include <sys/types.h>

namespace gpuctl::fence::internal {

// The step that failed, for words; errno has the reason.
const char* map_ids(uid_t uid, gid_t gid);  // nullptr: done
const char* mount_own_proc();

// The cgroup hierarchies of this mount namespace become read-only; those below them too where the kernel can do that in
// one step (mount_setattr(2), 5.12), else the v2 hierarchy alone. False where it is refused; nothing to do is true.
bool make_cgroups_read_only();

// That mount, and those below it where the kernel can do that in one step (mount_setattr(2), 5.12).
bool make_read_only_below(const char* path);

// Of one mount; the flags that it has stay, as they must in a user namespace. What is not there needs nothing.
bool remount_read_only(const char* path);

}  // namespace gpuctl::fence::internal
