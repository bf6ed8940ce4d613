#include "gpuctl/lease/json.hpp"

#include <algorithm>

#include "core.hpp"
#include "gpuctl/gpu/json.hpp"

namespace gpuctl::lease {
namespace {

Json stamp(const std::optional<Usec>& at) { return at ? Json(format_rfc3339(*at)) : Json(nullptr); }

Json to_json(const Unit& unit) {
  return {{"id", unit.id},
          {"pci_address", unit.pci_address},
          {"uuid", json_or_null(unit.uuid)},
          {"parent_id", json_or_null(unit.parent_id)}};
}

// 64-bit numbers are texts: not every reader of JSON has them.
Json to_json(const proc::Identity& identity) {
  return {{"pid", identity.pid},
          {"boot_id", identity.boot_id},
          {"pid_namespace", std::to_string(identity.pid_namespace)},
          {"start_ticks", std::to_string(identity.start_ticks)},
          {"pidfs_inode",
           identity.pidfs_inode ? Json(std::to_string(*identity.pidfs_inode)) : Json(nullptr)}};
}

Json payload_json(const Payload& payload) {
  return {{"init", payload.init ? to_json(*payload.init) : Json(nullptr)},
          {"cgroup_path", json_or_null(payload.cgroup_path)},
          {"cgroup_inode",
           payload.cgroup_inode == 0 ? Json(nullptr) : Json(std::to_string(payload.cgroup_inode))},
          {"supervisor", payload.supervisor ? to_json(*payload.supervisor) : Json(nullptr)}};
}

Json to_json(const Blocker& blocker) {
  return {{"pid", blocker.pid == 0 ? Json(nullptr) : Json(blocker.pid)},
          {"name", blocker.name},
          {"what", blocker.what}};
}

template <typename T>
Json to_array(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(to_json(value));
  return array;
}

const Lease* lease_of(const Unit& unit, const View& view) {
  for (const Lease& lease : view.leases) {
    const bool has_it = std::any_of(lease.units.begin(), lease.units.end(),
                                    [&](const Unit& each) { return overlap(unit, each); });
    if (has_it && lease.state != State::waiting) return &lease;
  }
  return nullptr;
}

const Drain* drain_of(const Unit& unit, const View& view) {
  return internal::find_drain(view.drains, unit);
}

}  // namespace

Json to_json(const Lease& lease) {
  Json json;
  json["id"] = lease.id;
  json["job"] = lease.job ? Json{{"id", lease.job->id}, {"resubmission", lease.job->resubmission}}
                          : Json(nullptr);
  json["uid"] = lease.uid;
  json["way"] = name_of(lease.way);
  json["state"] = name_of(lease.state);
  json["units"] = to_array(lease.units);
  json["holder"] = to_json(lease.holder);
  json["holder"]["alive"] =
      lease.unknown && !lease.holder_alive ? Json(nullptr) : Json(lease.holder_alive);
  json["payload"] = lease.payload ? payload_json(*lease.payload) : Json(nullptr);
  json["command"] = lease.command;
  json["since_at"] = lease.since == 0 ? Json(nullptr) : Json(format_rfc3339(lease.since));
  json["expires_at"] = stamp(lease.expires_at);
  json["ticket"] = lease.ticket;
  json["blockers"] = to_array(lease.blockers);
  json["unknown"] = json_or_null(lease.unknown);
  return json;
}

Json to_json(const Drain& drain) {
  return {{"unit_id", drain.unit_id},       {"level", name_of(drain.level)},
          {"reason", drain.reason},         {"cause", drain.cause},
          {"by_uid", drain.by_uid},         {"at", format_rfc3339(drain.at)},
          {"until_at", stamp(drain.until)}, {"needs_check", drain.needs_check}};
}

Json problem_json(const Error& error) {
  return {{"pci_address", nullptr},
          {"code", error.path == "ledger_scope" ? "ledger_scope" : name_of(error.code)},
          {"path",
           error.path.empty() || error.path == "ledger_scope" ? Json(nullptr) : Json(error.path)},
          {"detail", error.path == "ledger_scope" ? error.detail : error.message()}};
}

namespace {

LostUnit lost_unit(const Lease& lease, const Unit& unit, const std::vector<gpu::Gpu>& gpus) {
  LostUnit lost{lease.id, unit, std::nullopt};
  for (const gpu::Gpu& each : gpus) {
    const bool same = unit.uuid && unit_of(each).uuid == unit.uuid;
    if (same && !unit.parent_id && !each.parent_id) lost.moved_to = each.id;
  }
  return lost;
}

bool is_there(const Unit& unit, const std::vector<gpu::Gpu>& gpus) {
  return std::any_of(gpus.begin(), gpus.end(), [&](const gpu::Gpu& each) {
    const Unit found = unit_of(each);
    return found.id == unit.id && (!found.uuid || !unit.uuid || found.uuid == unit.uuid);
  });
}

}  // namespace

std::vector<LostUnit> lost_units(const std::vector<gpu::Gpu>& gpus, const View& view) {
  std::vector<LostUnit> lost;
  for (const Lease& lease : view.leases) {
    for (const Unit& unit : lease.units) {
      if (!is_there(unit, gpus)) lost.push_back(lost_unit(lease, unit, gpus));
    }
  }
  return lost;
}

std::string words_of(const LostUnit& lost) {
  const std::string what = "GPU " + lost.unit.id + " of lease " + lost.lease_id;
  if (lost.moved_to) return what + " is at " + *lost.moved_to + " now: it is not given to others";
  return what + " is not on this node any more";
}

Json problem_json(const LostUnit& lost) {
  return {
      {"pci_address", lost.unit.pci_address.empty() ? Json(nullptr) : Json(lost.unit.pci_address)},
      {"code", lost.moved_to ? "gpu_moved" : "gpu_gone"},
      {"path", nullptr},
      {"detail", words_of(lost)}};
}

bool is_available(const gpu::Gpu& gpu, const View& view) {
  const Unit unit = unit_of(gpu);
  const Drain* drain = drain_of(unit, view);
  return gpu.usable && gpu.allotted && gpu.pci_address && lease_of(unit, view) == nullptr &&
         (drain == nullptr || drain->level == DrainLevel::inform);
}

Json unit_json(const gpu::Gpu& gpu, const View& view) {
  const Unit unit = unit_of(gpu);
  const Lease* lease = lease_of(unit, view);
  const Drain* drain = drain_of(unit, view);
  Json json = gpu::to_json(gpu);
  json["available"] = is_available(gpu, view);
  json["lease_id"] = lease == nullptr ? Json(nullptr) : Json(lease->id);
  json["drain"] = drain == nullptr ? Json(nullptr) : Json(name_of(drain->level));
  return json;
}

std::string blocker_words(const Lease& lease) {
  std::string words;
  for (const Blocker& each : lease.blockers) {
    words += words.empty() ? "" : "; ";
    if (each.pid != 0) words += "pid " + std::to_string(each.pid) + " `" + each.name + "` ";
    words += each.what;
  }
  return words.empty() ? lease.unknown.value_or("nothing is known of its processes") : words;
}

}  // namespace gpuctl::lease
