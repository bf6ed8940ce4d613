// From flags to what is wanted of the node's GPUs: the same for `run`, `reserve` and `reserve -- COMMAND`.
#pragma once

#include <optional>

#include "context.hpp"
#include "gpuctl/job/gpu_order.hpp"

namespace gpuctl::app {

// nullopt when no flag asks for a GPU. ErrorCode::usage for a value that makes no sense, or an id that the node lacks.
Result<std::optional<job::GpuOrder>> gpu_order(const Context& context);

// What the configuration and the slot say, whatever is asked for.
Result<job::GpuOrder> plain_order(const Context& context);

}  // namespace gpuctl::app
