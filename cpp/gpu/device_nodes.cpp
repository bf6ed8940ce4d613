// Device nodes: whether /dev has what the drivers promise, and whether this user may open it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "candidate.hpp"
#include "gpuctl/base/host_paths.hpp"

namespace gpuctl::gpu::internal {
namespace {

// Nodes are told as the payload will see them, and looked up below the root's own `dev`.
const std::size_t kDevPrefixLength = std::string_view(host_paths::kDevNodes).size();

}  // namespace

DeviceNodes::DeviceNodes(const HostFs& fs) {
  Result<std::optional<Dir>> dev = fs.open_dir_if_present(host_paths::kDev);
  if (dev && *dev) dev_.emplace(std::move(**dev));
}

// AT_EACCESS: the rights of the effective user. The device cgroup answers too. Stand-ins of a recorded node are asked
// like the machine's own: they are there to be opened.
NodeState DeviceNodes::state_of(const std::string& node) const {
  if (!dev_) return NodeState::unknown;
  const std::string name = node.substr(kDevPrefixLength);
  struct stat status{};
  if (::fstatat(dev_->fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return NodeState::missing;
  if (!S_ISCHR(status.st_mode)) return NodeState::missing;
  const bool may_open = ::faccessat(dev_->fd(), name.c_str(), rights_to_use(node), AT_EACCESS) == 0;
  return may_open ? NodeState::ok : NodeState::forbidden;
}

void DeviceNodes::check(Candidate& candidate) const {
  Evidence& evidence = candidate.evidence;
  for (const std::string& node : candidate.gpu.device_nodes) {
    const NodeState state = state_of(node);
    if (state == NodeState::missing) evidence.missing_nodes.push_back(node);
    if (state == NodeState::forbidden) evidence.forbidden_nodes.push_back(node);
  }
  for (const std::string& node : candidate.gpu.shared_nodes) {
    const NodeState state = state_of(node);
    if (state == NodeState::missing) evidence.missing_shared_nodes.push_back(node);
    if (state == NodeState::forbidden) evidence.forbidden_nodes.push_back(node);
  }
}

}  // namespace gpuctl::gpu::internal
