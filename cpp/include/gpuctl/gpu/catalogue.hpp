// Names of GPUs: the table compiled in (made by tools/make_catalogue.py from pci.ids), the system's
// pci.ids where it is newer, and what a name tells about chip, model and architecture.
//
// A name has the form "CHIP [MODEL]", or is one of the two alone:
//   "GP100GL [Tesla P100 PCIe 16GB]", "Phoenix1" (a chip), "UHD Graphics 620" (a model).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/result.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu {

// The version of pci.ids that the table was made from: "2025.06.09".
std::string_view catalogue_version();

// The full name in the table compiled in.
std::optional<std::string_view> catalogue_name(std::uint16_t vendor, std::uint16_t device);

struct DeviceId {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
};

// The names for a node's GPUs. The system's file is 1.5 MB, so it is opened only when there is a
// GPU, its head alone is read for the version, and all of it only when it is newer or an id is not
// in the table.
class NameSource {
 public:
  // `files`: where the system's pci.ids may be, in order of preference; empty to use the table
  // alone.
  NameSource(const std::vector<std::string>& files, const std::vector<DeviceId>& wanted);

  std::optional<std::string> name(DeviceId id) const;

 private:
  std::vector<DeviceId> ids_;
  std::vector<std::optional<std::string>> names_;
};

// The usual places of the system's pci.ids (Debian, EL, SUSE, pciutils' own).
const std::vector<std::string>& system_pci_ids_files();

// "2023.04.10" from the head of a pci.ids file; nullopt when it has no such line.
std::optional<std::string> pci_ids_version(std::string_view head);

// The device's line in the text of a pci.ids file.
std::optional<std::string> find_in_pci_ids(std::string_view text, DeviceId id);

struct ChipAndModel {
  std::optional<std::string> chip;
  std::optional<std::string> model;
};

ChipAndModel split_name(std::uint16_t vendor, std::string_view name);

// The evidence that tells the alternatives of a model ("Radeon Pro VII/Radeon Instinct MI50 32GB")
// apart.
struct ModelEvidence {
  DeviceId id;
  std::optional<std::uint8_t> revision;
  std::optional<std::uint64_t> memory_total_bytes;
};

// The one alternative that the evidence leaves, or the whole text when it leaves several or none.
std::string choose_model(const std::string& model, const ModelEvidence& evidence);

// "Radeon Instinct MI50 32GB", "Tesla V100-SXM2-16GB" -> the size in bytes: inside a model name it is binary.
std::optional<std::uint64_t> size_in_name(std::string_view name);

// What a whole card of this name or board has, for cards of which no driver tells it; nullopt where alternatives differ.
// `subsystem_id` as in Gpu: "1002:081e".
std::optional<std::uint64_t> nominal_memory(DeviceId id, const std::optional<std::string>& model,
                                            const std::optional<std::string>& subsystem_id);

// The model by its board, where the id's name is of another one.
std::optional<std::string> board_model(DeviceId id, const std::optional<std::string>& subsystem_id);

struct Architecture {
  std::optional<std::string> name;  // "Ampere", "CDNA2", "Xe-HPC"
  std::optional<std::string> isa;   // "sm_80", "gfx90a"; none for Intel
};

// By chip; where the chip is unknown, by model. Empty where no rule is certain.
Architecture architecture_of(std::uint16_t vendor, const ChipAndModel& names);

// The generation of an Intel id (include/drm/intel/pciids.h of the kernel): most of its names tell none.
std::optional<std::string> intel_architecture(std::uint16_t device);

// Whether the architecture is of cards only; nullopt where it is not known.
std::optional<bool> is_discrete_intel(const std::optional<std::string>& architecture,
                                      std::uint16_t device);

}  // namespace gpuctl::gpu
