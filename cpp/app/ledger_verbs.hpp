// What the verbs of the ledger share.
#pragma once

#include <memory>
#include <optional>

#include "context.hpp"
#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/job/gpu_order.hpp"
#include "gpuctl/lease/ledger.hpp"

namespace gpuctl::app {

// The hardware, the ledger over it, and how to look at the node. Not movable: the ledger keeps the hardware's address.
class OpenLedger {
 public:
  // ErrorCode::usage, permission or io, as the ledger's own.
  static Result<std::unique_ptr<OpenLedger>> open(const Context& context);

  lease::Ledger& ledger() { return *ledger_; }
  Result<gpu::Inventory> look() const;  // with those who hold the nodes
  lease::Node node() const;
  const job::GpuOrder& order() const { return order_; }

 private:
  OpenLedger(HostFs live, HostFs hardware, job::GpuOrder order)
      : live_(std::move(live)), hardware_(std::move(hardware)), order_(std::move(order)) {}

  HostFs live_;
  HostFs hardware_;
  job::GpuOrder order_;
  std::optional<lease::Ledger> ledger_;
};

// 2 for what the caller can put right, 1 for "none", 3 for what leaves the answer open.
int ledger_exit_code(const Error& error);

}  // namespace gpuctl::app
