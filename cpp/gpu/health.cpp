// What the evidence says about a GPU: its state, the reasons, and whether a payload could compute
// on it now.
#include <algorithm>
#include <array>

#include "candidate.hpp"

namespace gpuctl::gpu {

const char* name_of(GpuKind kind) {
  switch (kind) {
    case GpuKind::gpu: return "gpu";
    case GpuKind::partition: return "partition";
    case GpuKind::vf: return "vf";
  }
  return "gpu";
}

const char* name_of(HealthState state) {
  switch (state) {
    case HealthState::ok: return "ok";
    case HealthState::degraded: return "degraded";
    case HealthState::lost: return "lost";
    case HealthState::no_driver: return "no_driver";
    case HealthState::unknown: return "unknown";
    case HealthState::probe_hung: return "probe_hung";
  }
  return "unknown";
}

namespace internal {
namespace {

// Drivers that give a GPU away: to a virtual machine, or to its virtual functions.
constexpr std::array<const char*, 5> kPassThroughDrivers{"vfio-pci", "pci-stub", "gim",
                                                         "nvidia_vgpu_vfio", "xen-pciback"};

const char* compute_driver_of(const Candidate& candidate) {
  switch (candidate.vendor) {
    case kVendorNvidia: return "nvidia";
    case kVendorAmd: return "amdgpu";
    default: return "i915` or `xe";
  }
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "`" : ", `") + name + "`";
  return text;
}

class Judge {
 public:
  explicit Judge(Candidate& candidate)
      : gpu_(candidate.gpu), candidate_(candidate), evidence_(candidate.evidence) {}

  void run() {
    gpu_.usable = true;
    judge_identity();
    judge_bus();
    judge_driver();
    judge_kfd();
    judge_nodes();
    judge_errors();
    judge_division();
  }

 private:
  // The first state that is not ok stays: what is judged first explains what follows.
  void note(HealthState state, const char* code, std::string detail, bool still_usable) {
    if (gpu_.health.state == HealthState::ok) gpu_.health.state = state;
    gpu_.health.reasons.push_back({code, std::move(detail), std::nullopt});
    gpu_.usable = gpu_.usable && still_usable;
  }

  void judge_identity() {
    if (evidence_.identity_gap.empty()) return;
    note(HealthState::unknown, "identity_unknown", evidence_.identity_gap, false);
  }

  void judge_bus() {
    if (evidence_.off_the_bus) {
      note(HealthState::lost, "off_the_bus",
           "its driver lists it, and the PCI bus does not: it fell off; reset it or reboot", false);
    }
    if (evidence_.address_shared) {
      note(HealthState::unknown, "address_shared",
           "KFD lists another card at its address, so that neither can be told for certain", false);
    }
    if (!evidence_.config_all_ones) return;
    note(HealthState::lost, "config_all_ones",
         "the configuration space reads all ones: powered off or fallen off the bus; reset it or "
         "reboot",
         false);
  }

  void judge_driver() {
    if (evidence_.survivability) {
      note(HealthState::lost, "survivability",
           "`xe` runs it in survivability mode: its firmware must be repaired (fwupd, igsc)",
           false);
    }
    if (driver_computes(candidate_)) {
      if (evidence_.excluded_by_driver) {
        note(HealthState::no_driver, "excluded",
             "the driver was told to leave it out (NVreg_ExcludedGpus)", false);
      }
      return;
    }
    if (gpu_.driver) return judge_other_driver(*gpu_.driver);
    if (!evidence_.driver_known || evidence_.has_drm_card) {
      return note(HealthState::unknown, "driver_unknown", "which driver is bound cannot be told",
                  false);
    }
    note(HealthState::no_driver, "no_driver",
         std::string("no driver is bound; load `") + compute_driver_of(candidate_) + "`", false);
  }

  void judge_other_driver(const std::string& driver) {
    const bool given_away = std::find(kPassThroughDrivers.begin(), kPassThroughDrivers.end(),
                                      driver) != kPassThroughDrivers.end();
    if (given_away) {
      return note(HealthState::no_driver, "passed_through",
                  "`" + driver + "` holds it for a virtual machine", false);
    }
    note(HealthState::no_driver, "display_driver",
         "`" + driver + "` cannot compute; computing needs `" + compute_driver_of(candidate_) + "`",
         false);
  }

  void judge_kfd() {
    if (candidate_.vendor != kVendorAmd || !driver_computes(candidate_)) return;
    if (!evidence_.kfd_known || evidence_.in_kfd || evidence_.config_all_ones) return;
    note(HealthState::degraded, "no_kfd", "KFD does not list it: no ROCm program can use it here",
         false);
  }

  void judge_nodes() {
    if (!driver_computes(candidate_)) return;
    if (!evidence_.missing_nodes.empty()) {
      note(HealthState::degraded, "node_missing",
           joined(evidence_.missing_nodes) + " missing in `/dev`", false);
    }
    if (!evidence_.missing_shared_nodes.empty()) {
      // nvidia-modprobe(1) makes NVIDIA's on demand; nobody makes /dev/kfd.
      note(HealthState::degraded, "node_missing",
           joined(evidence_.missing_shared_nodes) + " missing in `/dev`",
           candidate_.vendor == kVendorNvidia);
    }
    if (!evidence_.forbidden_nodes.empty()) {
      note(HealthState::degraded, "node_forbidden",
           joined(evidence_.forbidden_nodes) +
               " may not be opened by this user; join the node's group",
           false);
    }
  }

  // Counted since boot, and not forgotten after a repair: a sign for people, no reason to refuse work.
  void judge_errors() {
    for (const ErrorCount& error : evidence_.errors)
      note(HealthState::degraded, error.code.c_str(), error.detail, true);
  }

  // Healthy, and not to be had as a whole.
  void judge_division() {
    if (evidence_.partitions > 0) {
      note(HealthState::ok, "partitioned",
           "it is divided into " + std::to_string(evidence_.partitions) +
               (evidence_.partitions == 1 ? " partition" : " partitions") +
               ", which are used instead",
           false);
    }
    if (gpu_.virtual_functions && gpu_.kind == GpuKind::gpu) {
      note(HealthState::ok, "virtual_functions",
           "it is shared out to " + std::to_string(*gpu_.virtual_functions) +
               (*gpu_.virtual_functions == 1 ? " virtual function" : " virtual functions"),
           false);
    }
  }

  Gpu& gpu_;
  const Candidate& candidate_;
  const Evidence& evidence_;
};

}  // namespace

bool driver_computes(const Candidate& candidate) {
  const std::optional<std::string>& driver = candidate.gpu.driver;
  switch (candidate.vendor) {
    case kVendorNvidia: return driver == "nvidia";
    case kVendorAmd: return driver == "amdgpu";
    case kVendorIntel: return driver == "i915" || driver == "xe";
    default: return false;
  }
}

void judge(Candidate& candidate) { Judge(candidate).run(); }

}  // namespace internal
}  // namespace gpuctl::gpu
