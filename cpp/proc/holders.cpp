#include "gpuctl/proc/holders.hpp"

#include "gpuctl/base/parse.hpp"
#include "gpuctl/proc/open_nodes.hpp"
#include "proc_dir.hpp"

namespace gpuctl::proc {
namespace {

constexpr std::size_t kMaxCommBytes = 64;

// Its name, and its owner: nullopt when it has ended meanwhile.
std::optional<NodeHolder> holder(internal::ProcDir& proc, pid_t pid,
                                 std::vector<std::string> nodes) {
  const std::optional<uid_t> owner = proc.owner(pid);
  const std::optional<std::string_view> comm = proc.read(pid, "comm", kMaxCommBytes);
  if (!owner || !comm) return std::nullopt;
  return NodeHolder{pid, *owner, std::string(trim(*comm)), std::move(nodes)};
}

void look_at(internal::ProcDir& proc, const OpenNodes& open_nodes, pid_t pid, NodeHolders& found) {
  std::optional<std::vector<std::string>> nodes = open_nodes.of(pid);
  if (!nodes) {
    if (proc.owner(pid)) ++found.processes_unreadable;
    return;
  }
  ++found.processes_read;
  if (nodes->empty()) return;
  if (auto each = holder(proc, pid, std::move(*nodes))) found.holders.push_back(std::move(*each));
}

}  // namespace

NodeHolders holders_of_gpu_nodes(const HostFs& processes, const HostFs& hardware) {
  NodeHolders found;
  std::vector<DeviceNode> nodes = gpu_nodes(hardware);
  if (nodes.empty()) return found;
  Result<internal::ProcDir> proc = internal::ProcDir::open(processes);
  std::vector<pid_t> pids;
  if (!proc || !proc->list(pids)) return found;
  found.looked = true;
  const OpenNodes open_nodes(processes, std::move(nodes));
  for (const pid_t pid : pids) look_at(*proc, open_nodes, pid, found);
  return found;
}

}  // namespace gpuctl::proc
