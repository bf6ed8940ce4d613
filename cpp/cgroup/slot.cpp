#include "gpuctl/cgroup/slot.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup {
namespace {

using Parts = std::vector<std::string_view>;
using Index = std::optional<std::size_t>;

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

Parts parts_of(std::string_view path) {
  Parts parts;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

// The last part that `test` holds for.
Index last(const Parts& parts, const std::function<bool(std::string_view)>& test) {
  for (std::size_t i = parts.size(); i-- > 0;) {
    if (test(parts[i])) return i;
  }
  return std::nullopt;
}

// The node's name may stand before slurmstepd.scope; older versions have /slurm/uid_U or /slurm_NODE/uid_U.
Index slurm_job(const Parts& parts) {
  const auto is_slurm = [](std::string_view part) {
    return ends_with(part, "slurmstepd.scope") || part == "slurm" || starts_with(part, "slurm_");
  };
  const auto is_job = [](std::string_view part) {
    return starts_with(part, "job_") && is_digits(part.substr(4));
  };
  const auto slurm = std::find_if(parts.begin(), parts.end(), is_slurm);
  const auto job = std::find_if(slurm, parts.end(), is_job);
  if (job == parts.end()) return std::nullopt;
  return static_cast<std::size_t>(job - parts.begin());
}

// The first one below htcondor, or with HTCondor's own name: "condor_var_lib_condor_execute_slot1_1@host" or
// "_condor_slot1_1@host.slice". A payload's own groups below it belong to it.
Index condor_slot(const Parts& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t condor = parts[i].find("condor");
    const std::size_t slot = parts[i].find("slot", condor == std::string_view::npos ? 0 : condor);
    if (condor != std::string_view::npos && slot != std::string_view::npos &&
        parts[i].find('@', slot) != std::string_view::npos)
      return i;
  }
  return std::nullopt;
}

bool is_container(std::string_view part) {
  static constexpr std::array kMakers = {"libpod-", "docker-",    "crio-",        "cri-containerd-",
                                         "crun-",   "apptainer-", "singularity-", "machine-"};
  for (const char* maker : kMakers) {
    if (starts_with(part, maker) && !ends_with(part, ".service") && !ends_with(part, ".slice"))
      return true;
  }
  return false;
}

// Containers: a scope with their maker's name, or a folder below one: /docker/ID, /kubepods/…/ID, /apptainer/PID.
Index container(const Parts& parts) {
  if (const Index found = last(parts, is_container)) return found;
  static constexpr std::array kFolders = {"docker", "kubepods", "apptainer", "singularity", "lxc"};
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    if (std::find(kFolders.begin(), kFolders.end(), parts[i]) == kFolders.end()) continue;
    return parts[i] == "kubepods" ? parts.size() - 1 : i + 1;
  }
  return std::nullopt;
}

Index unit(const Parts& parts, std::string_view suffix) {
  return last(parts, [&](std::string_view part) { return ends_with(part, suffix); });
}

std::optional<SlotKind> kind_of_unit(std::string_view name) {
  const bool service = ends_with(name, ".service");
  if (service && starts_with(name, "user@")) return SlotKind::user_manager;
  if (service) return SlotKind::service;
  if (ends_with(name, ".scope")) return SlotKind::scope;
  return std::nullopt;
}

Slot slot_at(const Parts& parts, std::size_t index, SlotKind kind) {
  std::string path;
  for (std::size_t i = 0; i <= index; ++i) path += "/" + std::string(parts[i]);
  return {kind, path, std::string(parts[index])};
}

}  // namespace

const char* name_of(SlotKind kind) {
  switch (kind) {
    case SlotKind::root: return "root";
    case SlotKind::slurm: return "slurm";
    case SlotKind::htcondor: return "htcondor";
    case SlotKind::container: return "container";
    case SlotKind::scope: return "scope";
    case SlotKind::service: return "service";
    case SlotKind::user_manager: return "user_manager";
    case SlotKind::slice: return "slice";
    case SlotKind::other: break;
  }
  return "other";
}

Slot slot_of(std::string_view path) {
  const Parts parts = parts_of(path);
  if (parts.empty()) return {SlotKind::root, "/", ""};
  if (const Index job = slurm_job(parts)) return slot_at(parts, *job, SlotKind::slurm);
  if (const Index slot = condor_slot(parts)) return slot_at(parts, *slot, SlotKind::htcondor);
  if (const Index found = container(parts)) return slot_at(parts, *found, SlotKind::container);
  for (std::size_t i = parts.size(); i-- > 0;) {
    if (const std::optional<SlotKind> kind = kind_of_unit(parts[i]))
      return slot_at(parts, i, *kind);
  }
  if (const Index slice = unit(parts, ".slice")) return slot_at(parts, *slice, SlotKind::slice);
  return slot_at(parts, parts.size() - 1, SlotKind::other);
}

}  // namespace gpuctl::cgroup
