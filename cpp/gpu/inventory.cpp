// The join: every source is read once, and what it knows is added to the GPU at that PCI address.
#include "gpuctl/gpu/inventory.hpp"

#include <fcntl.h>

#include <algorithm>

#include "allotment.hpp"
#include "candidate.hpp"
#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "orders.hpp"

namespace gpuctl::gpu {
namespace {

using internal::Candidate;

// A mounted sysfs always has these; without them nothing can be said about the hardware.
Result<void> require_sysfs(const HostFs& fs) {
  for (const char* path : {host_paths::kSysBus, host_paths::kSysClass, host_paths::kNvidiaGpus}) {
    const Result<std::optional<Dir>> dir = fs.open_dir_if_present(path);
    if (!dir) return fail(dir.error());
    if (*dir) return {};
  }
  return fail(ErrorCode::unavailable, fs.where("sys"),
              "no sysfs here, so the hardware cannot be told; mount it or give another `--root`");
}

IgnoredDevice ignored_function(const PciFunction& function, IgnoreReason reason) {
  return {function.address, internal::hex4(function.vendor), internal::hex4(function.device),
          class_id_text(function.class_code), std::move(reason)};
}

IgnoredDevice ignored_broken(const BrokenFunction& broken) {
  IgnoredDevice device;
  device.pci_address = broken.address;
  if (broken.known.vendor) device.vendor_id = internal::hex4(*broken.known.vendor);
  if (broken.known.device) device.device_id = internal::hex4(*broken.known.device);
  if (broken.known.class_code) device.class_id = class_id_text(*broken.known.class_code);
  device.reason = {broken.unreadable ? "unreadable" : "incomplete", broken.detail};
  return device;
}

class Join {
 public:
  Join(const HostFs& fs, const DiscoverOptions& options) : fs_(fs), options_(options) {}

  Result<Inventory> run() {
    const Result<void> sysfs = require_sysfs(fs_);
    if (!sysfs) return fail(sysfs.error());
    Result<PciScan> scan = scan_pci(fs_);
    if (!scan) return fail(scan.error());
    take_pci(*scan);
    take_broken_gpus(*scan);
    take_drm(*scan);
    take_nvidia_proc(*scan);
    take_mig();
    take_kfd();
    take_broken(*scan);
    finish();
    return std::move(inventory_);
  }

 private:
  void take_pci(PciScan& scan) {
    inventory_.pci_function_count = scan.functions.size() + scan.broken.size();
    inventory_.problems = std::move(scan.problems);
    for (const PciFunction& function : scan.functions) {
      Verdict verdict = classify(function, scan.functions);
      if (verdict.role == Role::gpu) add_function(function);
      if (verdict.role == Role::ignored) {
        inventory_.ignored.push_back(ignored_function(function, std::move(verdict.reason)));
      }
    }
  }

  void add_function(const PciFunction& function) {
    Candidate candidate = internal::candidate_of_function(function);
    add_details_at(candidate, function.address);
    candidates_.push_back(std::move(candidate));
  }

  void take_broken_gpus(const PciScan& scan) {
    for (const BrokenFunction& broken : scan.broken) {
      const std::optional<std::uint16_t> vendor = vendor_of_broken_gpu(broken.known);
      if (!vendor) continue;
      Candidate candidate = internal::candidate_of_broken(broken, *vendor);
      add_details_at(candidate, broken.address);
      candidates_.push_back(std::move(candidate));
    }
  }

  void add_details_at(Candidate& candidate, const PciAddress& address) {
    ProblemSink problems(inventory_.problems, address.text());
    const Result<std::optional<Dir>> dir =
        fs_.open_dir_if_present(std::string(host_paths::kPciDevices) + "/" + address.text());
    if (!dir) problems.add(dir.error());
    if (dir && *dir) internal::add_details(candidate, read_pci_details(**dir, problems));
  }

  void take_drm(const PciScan& scan) {
    std::vector<PciAddress> known;
    known.reserve(scan.functions.size() + scan.broken.size());
    for (const PciFunction& function : scan.functions) known.push_back(function.address);
    for (const BrokenFunction& broken : scan.broken) known.push_back(broken.address);
    std::sort(known.begin(), known.end());
    ProblemSink problems(inventory_.problems);
    for (const DrmCard& card : read_orphan_cards(fs_, known, problems)) {
      const PciFunction function{
          {}, *card.identity.class_code, *card.identity.vendor, *card.identity.device, {}, {}};
      if (classify(function, {}).role != Role::gpu) continue;
      Candidate candidate = internal::candidate_of_drm_card(card);
      internal::add_details(candidate, card.details);
      candidates_.push_back(std::move(candidate));
    }
  }

  Candidate* find(const PciAddress& address) {
    const auto found =
        std::find_if(candidates_.begin(), candidates_.end(),
                     [&](const Candidate& each) { return each.gpu.pci_address == address; });
    return found == candidates_.end() ? nullptr : &*found;
  }

  // The driver keeps listing a GPU that fell off so badly that the bus lost it.
  bool is_off_the_bus(const PciScan& scan, const PciAddress& address) const {
    const auto is_it = [&](const auto& each) { return each.address == address; };
    return !scan.functions.empty() &&
           std::none_of(scan.functions.begin(), scan.functions.end(), is_it) &&
           std::none_of(scan.broken.begin(), scan.broken.end(), is_it);
  }

  void take_nvidia_proc(const PciScan& scan) {
    ProblemSink problems(inventory_.problems);
    for (const NvidiaProcGpu& found : read_nvidia_proc(fs_, problems)) {
      Candidate* candidate = find(found.address);
      if (candidate == nullptr) {
        candidates_.push_back(internal::candidate_of_nvidia_proc(found));
        candidate = &candidates_.back();
        candidate->evidence.off_the_bus = is_off_the_bus(scan, found.address);
        add_details_at(*candidate, found.address);
      }
      internal::add_nvidia_proc(*candidate, found);
    }
  }

  // KFD's card is the one with its unique id, else the one at its address that is not known to be another.
  Candidate* card_of(const KfdCard& card) {
    const std::optional<std::string>& id = card.first().unique_id;
    const auto is_card = [](const Candidate& each) {
      return each.vendor == kVendorAmd && each.gpu.kind != GpuKind::partition &&
             !each.evidence.in_kfd;
    };
    const auto by_id = std::find_if(candidates_.begin(), candidates_.end(), [&](Candidate& each) {
      return is_card(each) && id && each.gpu.unique_id == id;
    });
    if (by_id != candidates_.end()) return &*by_id;
    const auto at_address =
        std::find_if(candidates_.begin(), candidates_.end(), [&](Candidate& each) {
          return is_card(each) && each.gpu.pci_address == card.first().address &&
                 (!id || !each.gpu.unique_id || card.nodes.size() > 1);
        });
    return at_address == candidates_.end() ? nullptr : &*at_address;
  }

  // A card that PCI does not show. Where KFD names two at one address, one of the addresses is wrong: nothing that is
  // reserved by address may rest on it.
  Candidate& add_kfd_card(const KfdCard& card) {
    const PciAddress address = card.first().address;
    const bool taken = find(address) != nullptr;
    candidates_.push_back(internal::candidate_of_kfd(card.first(), address));
    Candidate& added = candidates_.back();
    if (taken) {
      added.gpu.id = "kfd:" + std::to_string(card.first().number);
      added.evidence.address_shared = true;
    } else {
      add_details_at(added, address);
    }
    return added;
  }

  void take_kfd() {
    ProblemSink problems(inventory_.problems);
    const KfdTopology topology = read_kfd(fs_, problems);
    std::vector<Candidate> parts;
    std::vector<PciAddress> functions;
    for (const Candidate& each : candidates_) {
      if (each.vendor == kVendorAmd && each.gpu.pci_address)
        functions.push_back(*each.gpu.pci_address);
    }
    for (const KfdCard& card : topology.cards(functions)) {
      Candidate* found = card_of(card);
      Candidate& candidate = found != nullptr ? *found : add_kfd_card(card);
      internal::add_kfd(candidate, card);
      internal::divide(candidate, card, parts);
    }
    // A live machine without KFD has none; a recording may just not have it.
    for (Candidate& each : candidates_) each.evidence.kfd_known = topology.present || fs_.is_live();
    for (Candidate& each : parts) candidates_.push_back(std::move(each));
  }

  void take_mig() {
    ProblemSink problems(inventory_.problems);
    std::vector<Candidate> parts;
    for (Candidate& each : candidates_) {
      if (!each.nvidia_minor) continue;
      const std::vector<MigInstance> found = read_mig_instances(fs_, *each.nvidia_minor, problems);
      each.evidence.partitions = found.size();
      for (const MigInstance& instance : found)
        parts.push_back(internal::candidate_of_mig(each, instance));
    }
    for (Candidate& each : parts) candidates_.push_back(std::move(each));
  }

  // A function that PCI cannot tell may be a GPU that its driver lists: then it is no longer left
  // out.
  void take_broken(const PciScan& scan) {
    for (const BrokenFunction& broken : scan.broken) {
      Candidate* candidate = find(broken.address);
      if (candidate == nullptr) {
        inventory_.ignored.push_back(ignored_broken(broken));
        continue;
      }
      if (candidate->gpu.sources.front() == "pci") continue;
      candidate->gpu.sources.insert(candidate->gpu.sources.begin(), "pci");
      if (broken.known.class_code)
        candidate->gpu.class_id = class_id_text(*broken.known.class_code);
    }
  }

  void finish() {
    std::vector<DeviceId> ids;
    for (const Candidate& each : candidates_) {
      if (each.device) ids.push_back({each.vendor, *each.device});
    }
    const NameSource names(options_.pci_ids_files, ids);
    const internal::DeviceNodes nodes(fs_);
    internal::DriverVersions versions(fs_);
    sort_candidates();
    for (Candidate& each : candidates_) add_links(each);
    for (Candidate& each : candidates_) {
      internal::add_names(each, names);
      if (each.gpu.driver) each.gpu.driver_version = versions.version_of(*each.gpu.driver);
      nodes.check(each);
      internal::judge(each);
    }
    const internal::RuntimeOrders orders = internal::runtime_orders(candidates_);
    internal::number_devices(candidates_, orders);
    internal::allot(candidates_, orders, options_.slot);
    for (Candidate& each : candidates_) inventory_.gpus.push_back(std::move(each.gpu));
    std::sort(inventory_.ignored.begin(), inventory_.ignored.end(),
              [](const IgnoredDevice& a, const IgnoredDevice& b) {
                return a.pci_address < b.pci_address;
              });
  }

  // A link to a node that is no GPU of ours leads to a processor, or to what the slot may not see.
  void add_links(Candidate& candidate) const {
    if (!candidate.kfd_links) return;
    std::vector<Link>& links = candidate.gpu.links.emplace();
    for (const Candidate& peer : candidates_) {
      for (const KfdLink& each : *candidate.kfd_links) {
        if (&peer != &candidate && peer.kfd_number == each.to && peer.kfd_links)
          links.push_back({peer.gpu.id, "xgmi", each.hops, each.bandwidth_bytes_per_s});
      }
    }
  }

  void sort_candidates() {
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
      const std::optional<PciAddress>& here = a.gpu.pci_address;
      const std::optional<PciAddress>& there = b.gpu.pci_address;
      if (here && there && *here != *there) return *here < *there;
      if (here.has_value() != there.has_value()) return here.has_value();
      return internal::comes_before(a.gpu.id, b.gpu.id);
    });
  }

  const HostFs& fs_;
  const DiscoverOptions& options_;
  std::vector<Candidate> candidates_;
  Inventory inventory_;
};

}  // namespace

Result<DiscoverOptions> make_discover_options(const std::optional<std::string>& pci_ids) {
  DiscoverOptions options;
  if (!pci_ids) return options;
  options.pci_ids_files.clear();
  if (*pci_ids == "none") return options;
  const Result<Fd> readable = open_at(AT_FDCWD, *pci_ids, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!readable) return fail(readable.error());
  options.pci_ids_files.push_back(*pci_ids);
  return options;
}

Result<Inventory> discover(const HostFs& fs, const DiscoverOptions& options) {
  return Join(fs, options).run();
}

}  // namespace gpuctl::gpu
