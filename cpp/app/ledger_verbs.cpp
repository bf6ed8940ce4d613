#include "ledger_verbs.hpp"

#include "gpu_request.hpp"
#include "gpuctl/gpu/holders.hpp"
#include "gpuctl/proc/holders.hpp"

namespace gpuctl::app {

Result<std::unique_ptr<OpenLedger>> OpenLedger::open(const Context& context) {
  const std::optional<std::string> state_dir = context.config.text("state_dir");
  if (context.root() != "/" && !state_dir) {
    return fail(ErrorCode::usage, "",
                "`--root` needs `--state-dir`: stand-in hardware is not recorded among the real");
  }
  Result<job::GpuOrder> order = plain_order(context);
  if (!order) return fail(order.error());
  Result<HostFs> live = HostFs::open("/");
  if (!live) return fail(live.error());
  Result<HostFs> hardware = HostFs::open(order->root);
  if (!hardware) return fail(hardware.error());
  std::unique_ptr<OpenLedger> opened(
      new OpenLedger(std::move(*live), std::move(*hardware), std::move(*order)));
  Result<lease::Ledger> ledger =
      lease::Ledger::open({&opened->hardware_, state_dir, opened->order_.scope});
  if (!ledger) return fail(ledger.error());
  opened->ledger_.emplace(std::move(*ledger));
  return opened;
}

Result<gpu::Inventory> OpenLedger::look() const {
  Result<gpu::Inventory> inventory = gpu::discover(hardware_, order_.discover);
  if (!inventory || inventory->gpus.empty()) return inventory;
  const proc::NodeHolders found = proc::holders_of_gpu_nodes(live_, hardware_);
  if (!found.looked) return inventory;
  std::vector<gpu::Holder> holders;
  for (const proc::NodeHolder& each : found.holders)
    holders.push_back({each.pid, each.uid, each.name, false, each.nodes});
  gpu::add_holders(*inventory, holders, {found.processes_read, found.processes_unreadable});
  return inventory;
}

lease::Node OpenLedger::node() const {
  return [this]() -> Result<lease::SharedGpus> {
    Result<gpu::Inventory> inventory = look();
    if (!inventory) return fail(inventory.error());
    return std::make_shared<const std::vector<gpu::Gpu>>(std::move(inventory->gpus));
  };
}

int ledger_exit_code(const Error& error) {
  switch (error.code) {
    case ErrorCode::unavailable:
    case ErrorCode::busy: return 1;
    case ErrorCode::usage:
    case ErrorCode::malformed:
    case ErrorCode::not_found:
    case ErrorCode::permission:
    case ErrorCode::unsupported: return 2;
    default: return 3;
  }
}

}  // namespace gpuctl::app
