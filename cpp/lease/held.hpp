#pragma once

#include <memory>
#include <vector>

#include "core.hpp"

namespace gpuctl::lease {

struct Held::Impl {
  std::shared_ptr<Ledger::Impl> core;
  internal::Stored stored;
  std::vector<internal::UnitLock> locks;
  Fd notify;  // of drains
  bool let_go = false;
};

namespace internal {

// What an attempt ends with: the record, and for a held one its locks.
struct Granted {
  Stored stored;
  std::vector<UnitLock> locks;
};

Result<Granted> grant(Core& core, const Request& request, const Node& node,
                      const Patience& patience, const Owner* owner);

}  // namespace internal
}  // namespace gpuctl::lease
