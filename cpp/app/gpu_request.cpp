#include "gpu_request.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/lease/lease_file.hpp"
#include "inventory.hpp"

namespace gpuctl::app {
namespace {

constexpr std::uint64_t kMostGpus = 1024;

Failure usage(const std::string& detail) { return fail(ErrorCode::usage, "", detail); }

Result<std::vector<std::string>> vendors_of(const Invocation& invocation) {
  std::vector<std::string> vendors;
  for (const std::string& name : invocation.all("vendor")) {
    const std::optional<std::string> vendor = gpu::vendor_named(name);
    if (!vendor) return usage("`--vendor " + printable(name) + "`: expected nvidia, amd or intel");
    vendors.push_back(*vendor);
  }
  return vendors;
}

Result<void> add_wish(const Invocation& invocation, gpu::Wish& wish) {
  Result<std::vector<std::string>> vendors = vendors_of(invocation);
  if (!vendors) return fail(vendors.error());
  wish.vendors = std::move(*vendors);
  wish.models = invocation.all("model");
  wish.architectures = invocation.all("arch");
  for (const char* flag : {"model", "arch"}) {
    for (const std::string& name : invocation.all(flag)) {
      if (gpu::WantedModel(name).words().empty() && trim(name).empty())
        return usage(std::string("`--") + flag + "`: expected a name, got nothing");
    }
  }
  if (const std::optional<std::string> memory = invocation.last("min-memory")) {
    const Result<std::uint64_t> bytes = parse_size_bytes(*memory, "`--min-memory`");
    if (!bytes) return usage(bytes.error().detail);
    wish.memory_bytes = *bytes;
  }
  return {};
}

Result<void> add_count(const Invocation& invocation, lease::Request& request) {
  const std::optional<std::string> text = invocation.last("gpus");
  request.wish.count = std::max<std::size_t>(request.only.size(), 1);
  if (!text) return {};
  const Result<std::uint64_t> count = parse_unsigned(*text, "`--gpus`", 10, kMostGpus);
  if (!count || *count == 0)
    return usage("`--gpus " + printable(*text) + "`: expected a number from 1");
  if (!request.only.empty() && *count > request.only.size())
    return usage("`--gpus " + *text + "`: only " + std::to_string(request.only.size()) +
                 " are named with `--gpu`");
  request.wish.count = *count;
  return {};
}

Result<void> add_together(const Invocation& invocation, lease::Request& request) {
  const std::optional<std::string> text = invocation.last("same");
  if (!text) return {};
  if (*text != "numa" && *text != "link")
    return usage("`--same " + printable(*text) + "`: expected numa or link");
  request.together = *text == "numa" ? lease::Together::numa_node : lease::Together::link;
  return {};
}

Result<void> add_wait(const Invocation& invocation, job::GpuOrder& order) {
  const std::optional<std::string> text = invocation.last("wait");
  if (!text) return {};
  const Result<std::int64_t> wait = parse_duration_usec(*text, "`--wait`");
  if (!wait) return usage(wait.error().detail);
  order.wait = *wait;
  return {};
}

Result<void> require_known(const job::GpuOrder& order) {
  if (order.request.only.empty()) return {};
  const Result<HostFs> fs = HostFs::open(order.root);
  if (!fs) return fail(fs.error());
  const Result<gpu::Inventory> node = gpu::discover(*fs, order.discover);
  if (!node) return fail(node.error());
  for (const std::string& id : order.request.only) {
    const bool known = std::any_of(node->gpus.begin(), node->gpus.end(),
                                   [&](const gpu::Gpu& each) { return each.id == id; });
    if (!known)
      return usage("no GPU `" + printable(id) + "` on this node: `gpuctl discover` lists them");
  }
  return {};
}

// `reserve` always does, `run` where one of these is given.
bool asks_for_gpus(const Invocation& invocation) {
  if (invocation.verb == find_verb("reserve")) return true;
  constexpr const char* kFlags[] = {"gpus", "gpu",        "vendor", "model",
                                    "arch", "min-memory", "lease"};
  return std::any_of(std::begin(kFlags), std::end(kFlags),
                     [&](const char* flag) { return invocation.has(flag); });
}

// Where the slot's CPUs are, when it may not use them all.
std::optional<int> near_node(bool live_hardware) {
  cpu_set_t ours;
  unsigned node = 0;
  if (!live_hardware || ::sched_getaffinity(0, sizeof ours, &ours) != 0 ||
      ::syscall(SYS_getcpu, nullptr, &node, nullptr) != 0)
    return std::nullopt;
  const bool bound = CPU_COUNT(&ours) < ::sysconf(_SC_NPROCESSORS_ONLN);
  return bound ? std::optional<int>(static_cast<int>(node)) : std::nullopt;
}

}  // namespace

Result<job::GpuOrder> plain_order(const Context& context) {
  job::GpuOrder order;
  order.root = context.root();
  Result<gpu::DiscoverOptions> options = gpu::make_discover_options(context.config.text("pci_ids"));
  if (!options) return fail(options.error());
  order.discover = std::move(*options);
  order.discover.slot = slot_env(context.environment);
  order.scope =
      *context.config.text("ledger_scope") == "slot" ? lease::Scope::slot : lease::Scope::node;
  return order;
}

Result<std::optional<job::GpuOrder>> gpu_order(const Context& context) {
  const Invocation& invocation = context.invocation;
  if (!asks_for_gpus(invocation)) return std::optional<job::GpuOrder>();
  Result<job::GpuOrder> order = plain_order(context);
  if (!order) return fail(order.error());
  order->lease = invocation.last("lease");
  order->lease_file = context.environment.find(lease::kLeaseFileVariable);
  if (order->lease && invocation.has("gpus"))
    return usage("`--lease` brings its own GPUs: leave `--gpus` out");
  order->request.only = invocation.all("gpu");
  order->request.exclude = invocation.all("exclude");
  order->request.allow_integrated = invocation.has("allow-integrated");
  order->request.even_drained = invocation.has("even-drained");
  order->request.near_numa_node = near_node(order->root == "/");
  for (const Result<void>& step :
       {add_wish(invocation, order->request.wish), add_count(invocation, order->request),
        add_together(invocation, order->request), add_wait(invocation, *order),
        require_known(*order)}) {
    if (!step) return fail(step.error());
  }
  return std::optional<job::GpuOrder>(std::move(*order));
}

}  // namespace gpuctl::app
