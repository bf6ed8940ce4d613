// gpuctl discover: the inventory as a table for people, or as JSON.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "columns.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/gpu/json.hpp"
#include "inventory.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr int kExitFound = 0;
constexpr int kExitNone = 1;
constexpr int kExitUsage = 2;
constexpr int kExitUnknown = 3;
constexpr int kExitPartial = 4;

constexpr double kBytesPerGib = 1024.0 * 1024.0 * 1024.0;

std::string memory_text(const std::optional<std::uint64_t>& bytes) {
  if (!bytes) return "-";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f GiB", static_cast<double>(*bytes) / kBytesPerGib);
  return text.data();
}

// Names come from files that others wrote: printable() keeps control characters off the terminal.
std::string model_text(const gpu::Gpu& gpu) {
  std::string text =
      gpu.model ? printable(*gpu.model) : "device " + gpu.device_id.value_or("unknown");
  if (gpu.integrated) text += " (integrated)";
  if (gpu.parent_id)
    text += " (" + std::string(gpu::name_of(gpu.kind)) + " of " + *gpu.parent_id + ")";
  return text;
}

// "python3[4711] +2": who computes there, services left out.
std::string holders_text(const gpu::Gpu& gpu) {
  std::string text;
  int more = 0;
  for (const gpu::Holder& each : gpu.busy_by) {
    if (each.service) continue;
    if (text.empty()) {
      text = printable(each.name) + "[" + std::to_string(each.pid) + "]";
    } else {
      ++more;
    }
  }
  if (text.empty()) return "-";
  return more == 0 ? text : text + " +" + std::to_string(more);
}

Row row_of(const gpu::Gpu& gpu) {
  return {gpu.id,
          gpu.vendor,
          model_text(gpu),
          memory_text(gpu.memory_total_bytes),
          gpu.driver ? printable(*gpu.driver) : "-",
          gpu.numa_node ? std::to_string(*gpu.numa_node) : "-",
          gpu::name_of(gpu.health.state),
          gpu.usable ? "yes" : "no",
          gpu.allotted ? "yes" : "no",
          holders_text(gpu)};
}

std::string table_of(const std::vector<gpu::Gpu>& gpus) {
  std::vector<Row> rows{{"ADDRESS", "VENDOR", "MODEL", "MEMORY", "DRIVER", "NUMA", "HEALTH",
                         "USABLE", "ALLOTTED", "BUSY"}};
  for (const gpu::Gpu& each : gpus) rows.push_back(row_of(each));
  return align(rows);
}

std::string reasons_of(const std::vector<gpu::Gpu>& gpus) {
  std::string text;
  for (const gpu::Gpu& each : gpus) {
    for (const gpu::HealthReason& reason : each.health.reasons) {
      text += each.id + ": " + printable(reason.detail) + "\n";
    }
    for (const gpu::AllotmentReason& reason : each.allotment_reasons)
      text += each.id + ": not allotted: " + printable(reason.detail) + "\n";
  }
  return text;
}

// "bmc_vga 1, bridge 16"
std::string counts_of(const std::vector<gpu::IgnoredDevice>& ignored) {
  std::map<std::string, int> counts;
  for (const gpu::IgnoredDevice& each : ignored) ++counts[each.reason.code];
  std::string text;
  for (const auto& [code, count] : counts) {
    text += (text.empty() ? "" : ", ") + code + " " + std::to_string(count);
  }
  return text;
}

std::string ignored_table(const std::vector<gpu::IgnoredDevice>& ignored) {
  if (ignored.empty()) return {};
  std::vector<Row> rows{{"LEFT OUT", "DEVICE", "CLASS", "REASON", "DETAIL"}};
  for (const gpu::IgnoredDevice& each : ignored) {
    rows.push_back({each.pci_address.text(),
                    each.vendor_id.value_or("?") + ":" + each.device_id.value_or("?"),
                    each.class_id.value_or("?"), each.reason.code, printable(each.reason.detail)});
  }
  std::string text = "\n";
  return text += align(rows);
}

template <typename Predicate>
std::size_t count_if(const std::vector<gpu::Gpu>& gpus, Predicate predicate) {
  return static_cast<std::size_t>(std::count_if(gpus.begin(), gpus.end(), predicate));
}

std::string plural(std::size_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string summary_of(const gpu::Inventory& inventory) {
  std::string seen = plural(inventory.pci_function_count, "PCI device") + " seen";
  if (!inventory.ignored.empty()) {
    seen += ", " + std::to_string(inventory.ignored.size()) +
            " left out: " + counts_of(inventory.ignored);
  }
  if (inventory.gpus.empty()) return "no GPU found (" + seen + ")\n";
  const std::size_t virtual_functions =
      count_if(inventory.gpus, [](const gpu::Gpu& each) { return each.kind == gpu::GpuKind::vf; });
  const std::size_t partitions = count_if(
      inventory.gpus, [](const gpu::Gpu& each) { return each.kind == gpu::GpuKind::partition; });
  std::string text = plural(inventory.gpus.size() - virtual_functions - partitions, "GPU");
  if (partitions > 0) text += " and " + plural(partitions, "partition");
  if (virtual_functions > 0) text += " and " + plural(virtual_functions, "virtual function");
  text += ", " + std::to_string(
                     count_if(inventory.gpus, [](const gpu::Gpu& each) { return each.usable; }));
  return text + " usable (" + seen + ")\n";
}

std::string to_words(const gpu::Inventory& inventory, bool verbose) {
  std::string text;
  if (!inventory.gpus.empty()) text += table_of(inventory.gpus) + reasons_of(inventory.gpus);
  text += summary_of(inventory);
  if (verbose) text += ignored_table(inventory.ignored);
  return text;
}

int exit_code_of(const gpu::Inventory& inventory) {
  if (!inventory.problems.empty()) return kExitPartial;
  return inventory.gpus.empty() ? kExitNone : kExitFound;
}

}  // namespace

int run_discover(const Context& context) {
  if (!context.invocation.operands.empty()) {
    complain("`discover` takes no operand, got `" + printable(context.invocation.operands.front()) +
             "`");
    return kExitUsage;
  }
  const Result<HostFs> fs = context.open_root();
  if (!fs) return complain(fs.error(), kExitUsage);
  Result<gpu::DiscoverOptions> options = gpu::make_discover_options(context.config.text("pci_ids"));
  if (!options) return complain(options.error(), kExitUsage);
  options->slot = slot_env(context.environment);
  Result<gpu::Inventory> inventory = gpu::discover(*fs, *options);
  if (!inventory) return complain(inventory.error(), kExitUnknown);
  look_for_holders(*fs, *inventory);
  const int code = exit_code_of(*inventory);
  if (context.json) return print(to_text(gpu::to_json(*inventory)), code);
  if (!context.quiet) {
    for (const gpu::Problem& problem : inventory->problems) complain(problem.error.message());
  }
  return print(to_words(*inventory, context.verbose), code);
}

}  // namespace gpuctl::app
