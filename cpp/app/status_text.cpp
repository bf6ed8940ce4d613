#include "status_text.hpp"

#include <algorithm>
#include <vector>

#include "columns.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/lease/json.hpp"

namespace gpuctl::app {
namespace {

const lease::Lease* lease_of(const gpu::Gpu& gpu, const lease::View& view) {
  const lease::Unit unit = lease::unit_of(gpu);
  for (const lease::Lease& each : view.leases) {
    if (std::any_of(each.units.begin(), each.units.end(),
                    [&](const lease::Unit& one) { return lease::overlap(unit, one); }))
      return &each;
  }
  return nullptr;
}

std::string state_words(const gpu::Gpu& gpu, const lease::View& view) {
  if (const lease::Lease* lease = lease_of(gpu, view))
    return std::string(lease::name_of(lease->state));
  if (lease::is_available(gpu, view)) return "free";
  if (!gpu.usable) return "not usable";
  return gpu.allotted ? "drained" : "not allotted";
}

std::string holder_words(const gpu::Gpu& gpu) {
  std::string text;
  for (const gpu::Holder& each : gpu.busy_by) {
    if (each.service) continue;
    text += (text.empty() ? "" : " ") + printable(each.name) + "[" + std::to_string(each.pid) + "]";
  }
  return text.empty() ? "-" : text;
}

std::string drain_words(const gpu::Gpu& gpu, const lease::View& view) {
  const lease::Unit unit = lease::unit_of(gpu);
  for (const lease::Drain& each : view.drains) {
    if (each.unit_id == unit.id || unit.parent_id == each.unit_id)
      return std::string(lease::name_of(each.level)) + ": " + printable(each.reason);
  }
  return "-";
}

Row row_of(const gpu::Gpu& gpu, const lease::View& view) {
  const lease::Lease* lease = lease_of(gpu, view);
  return {gpu.id,
          gpu.model ? printable(*gpu.model) : gpu.vendor,
          gpu::name_of(gpu.health.state),
          state_words(gpu, view),
          lease == nullptr ? "-" : lease->id,
          lease != nullptr && lease->job ? lease->job->id : "-",
          holder_words(gpu),
          drain_words(gpu, view)};
}

std::string about(const lease::Lease& lease) {
  std::string text = "lease " + lease.id;
  if (lease.job) text += " of job " + lease.job->id;
  if (lease.state == lease::State::waiting)
    return text + " waits, pid " + std::to_string(lease.holder.pid) + "\n";
  return text + " is `" + lease::name_of(lease.state) +
         "`: " + printable(lease::blocker_words(lease)) + "\n";
}

bool is_worth_a_line(const lease::Lease& lease) {
  return lease.state != lease::State::held || !lease.holder_alive || lease.unknown;
}

std::string text_of(const Json& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

}  // namespace

std::string status_text(const gpu::Inventory& inventory, const lease::View& view) {
  if (inventory.gpus.empty()) return "no GPU found\n";
  std::vector<Row> rows{
      {"GPU", "MODEL", "HEALTH", "STATE", "LEASE", "JOB", "NODES HELD BY", "DRAIN"}};
  for (const gpu::Gpu& each : inventory.gpus) rows.push_back(row_of(each, view));
  std::string text = align(rows);
  for (const lease::Lease& each : view.leases) {
    if (is_worth_a_line(each)) text += about(each);
  }
  return text;
}

std::string history_line(const std::string& json_line) {
  const Json event = Json::parse(json_line, nullptr, false);
  if (!event.is_object()) return {};
  std::string text = text_of(event, "at") + " " + text_of(event, "event");
  if (const std::string lease = text_of(event, "lease"); !lease.empty()) text += " " + lease;
  if (event.contains("units") && event["units"].is_array()) {
    for (const Json& unit : event["units"]) {
      if (unit.is_string()) text += " " + printable(unit.get<std::string>());
    }
  }
  return text + ": " + text_of(event, "reason") + "\n";
}

}  // namespace gpuctl::app
