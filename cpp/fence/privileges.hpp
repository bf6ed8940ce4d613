// What the payload may not do as root, or as the root of its user namespace. Runs in the child: errno only.
#pragma once

namespace gpuctl::fence::internal {

// In a user namespace every capability goes, and no_new_privs is set: setuid programs gain nothing there anyway. As root
// outside one, those stay that a container usually has; with the others a payload could mount, make device nodes, load
// programs into the kernel or trace whom it likes. Without privilege there is nothing to drop. The step that failed, or nullptr.
const char* drop_capabilities(bool in_user_namespace);

// The payload is what the kernel ends first when memory runs out. Not having it is no failure.
void offer_to_memory_killer();

// The session keyring of our caller holds what was put there for it (Kerberos, AFS): the payload gets an empty one. Where
// that is refused nothing changes (a container's filter, a full quota).
void leave_session_keyring();

}  // namespace gpuctl::fence::internal
