#include "gpuctl/fence/entry.hpp"

#include <algorithm>
#include <cerrno>

#include "gpuctl/base/host_paths.hpp"
#include "privileges.hpp"

namespace gpuctl::fence {
namespace {

Result<std::vector<std::string>> others_than(const std::vector<std::string>& own) {
  const std::string dev = std::string("/") + host_paths::kDev;
  const Result<std::vector<std::string>> nodes = gpu_nodes_in(dev);
  if (!nodes) return fail(nodes.error());
  std::vector<std::string> others;
  for (const std::string& name : *nodes) {
    const std::string path = dev + "/" + name;
    if (std::find(own.begin(), own.end(), path) == own.end()) others.push_back(path);
  }
  return others;
}

}  // namespace

Result<Entered> enter_fence(const Entry& entry) {
  const Result<std::vector<std::string>> others = others_than(entry.own);
  if (!others) return fail(others.error());
  Restrictions wanted;
  wanted.landlock = entry.landlock;
  wanted.refused_nodes = *others;
  wanted.seccomp = entry.seccomp;
  wanted.protected_pids = entry.protected_pids;
  internal::leave_session_keyring();
  // Apptainer leaves root all of them, so that it could make the nodes of others in its work directory.
  if (const char* step = internal::drop_capabilities(false)) return fail_errno(errno, "", step);
  Entered entered;
  Result<Restricted> done = restrict_self(wanted);
  if (!done) {
    entered.restricted.notes.push_back("landlock: " + done.error().message());
    wanted.landlock = false;
    done = restrict_self(wanted);
    if (!done) return fail(done.error());
  }
  entered.restricted.landlock = done->landlock;
  entered.restricted.scopes_signals = done->scopes_signals;
  entered.restricted.seccomp = done->seccomp;
  entered.restricted.notes.insert(entered.restricted.notes.end(), done->notes.begin(),
                                  done->notes.end());
  entered.proof = prove_devices(entry.own, *others);
  if (!entered.proof.holds) return entered;
  entered.device = done->landlock ? DeviceFence::landlock : DeviceFence::slot;
  return entered;
}

}  // namespace gpuctl::fence
