#include "gpuctl/gpu/catalogue.hpp"

#include <doctest/doctest.h>

#include "fake_sysfs.hpp"

using namespace gpuctl;
using namespace gpuctl::gpu;
using gpuctl::gpu::test::FakeSysfs;

namespace {

const char* const kNewer =
    "#\tVersion: 2099.01.02\n"
    "1001  Before\n\t66a1  Not this one\n"
    "1002  AMD\n\t66a0  Vega 20 [Radeon Instinct]\n\t66a1  Vega 20 [Renamed]\n\t\t1002 0834  "
    "Subsystem\n"
    "\tfffe  Next [Radeon Future]\n"
    "10de  NVIDIA\n\tfffe  GX100 [Test]\n";

NameSource names_of(const FakeSysfs& place, const std::string& text,
                    const std::vector<DeviceId>& ids) {
  place.write("pci.ids", text);
  return NameSource({(place.root() / "absent").string(), (place.root() / "pci.ids").string()}, ids);
}

}  // namespace

TEST_CASE("the table compiled in knows the GPUs of grid sites") {
  CHECK(catalogue_name(0x1002, 0x66a1) == "Vega 20 [Radeon Pro VII/Radeon Instinct MI50 32GB]");
  CHECK(catalogue_name(0x10de, 0x20b0) == "GA100 [A100 SXM4 40GB]");
  CHECK(catalogue_name(0x10de, 0x15f8) == "GP100GL [Tesla P100 PCIe 16GB]");
  CHECK(catalogue_name(0x10de, 0x2330) == "GH100 [H100 SXM5 80GB]");
  CHECK(catalogue_name(0x8086, 0x0bda) == "Ponte Vecchio XT (1 Tile) [Data Center GPU Max 1100]");
  CHECK_FALSE(catalogue_name(0x10de, 0xffff).has_value());
  CHECK_FALSE(catalogue_name(0x1a03, 0x2000).has_value());
}

TEST_CASE("a newer pci.ids of the system wins, an older one only fills gaps") {
  FakeSysfs place;
  const DeviceId mi50{0x1002, 0x66a1};
  const DeviceId future{0x1002, 0xfffe};
  const NameSource newer = names_of(place, kNewer, {mi50, future});
  CHECK(newer.name(mi50) == "Vega 20 [Renamed]");
  CHECK(newer.name(future) == "Next [Radeon Future]");
  std::string old = kNewer;
  old.replace(old.find("2099"), 4, "1999");
  const NameSource older = names_of(place, old, {mi50, future});
  CHECK(older.name(mi50) == "Vega 20 [Radeon Pro VII/Radeon Instinct MI50 32GB]");
  CHECK(older.name(future) == "Next [Radeon Future]");
  CHECK_FALSE(names_of(place, "garbage", {future}).name(future).has_value());
  CHECK_FALSE(NameSource({}, {future}).name(future).has_value());
  CHECK(NameSource({"/"}, {mi50}).name(mi50).has_value());  // a directory: unreadable, not fatal
}

TEST_CASE("pci.ids: a vendor's block ends where the next one starts") {
  CHECK(find_in_pci_ids(kNewer, {0x10de, 0xfffe}) == "GX100 [Test]");
  CHECK_FALSE(find_in_pci_ids(kNewer, {0x10de, 0x66a1}).has_value());
  CHECK_FALSE(find_in_pci_ids(kNewer, {0x1002, 0x0834}).has_value());  // a subsystem is no device
  CHECK_FALSE(find_in_pci_ids("", {0x1002, 0x66a1}).has_value());
  CHECK(pci_ids_version("#\n#\tVersion: 2023.04.10\n#") == "2023.04.10");
  CHECK_FALSE(pci_ids_version("#\tVersion: soon\n").has_value());
  CHECK_FALSE(pci_ids_version("#\tVersion: 2023.04.10").has_value());  // cut off
}

TEST_CASE("a name is split into chip and model") {
  const ChipAndModel p100 = split_name(0x10de, "GP100GL [Tesla P100 PCIe 16GB]");
  CHECK(p100.chip == "GP100GL");
  CHECK(p100.model == "Tesla P100 PCIe 16GB");
  CHECK(split_name(0x10de, "GH100[H100 SXM5 80GB]").chip == "GH100");
  CHECK(split_name(0x1002, "Phoenix1").chip == "Phoenix1");
  CHECK(split_name(0x1002, "Phoenix1").model == "Phoenix1");
  CHECK_FALSE(split_name(0x8086, "UHD Graphics 620").chip.has_value());
  CHECK_FALSE(split_name(0x1002, "[Instinct MI350X]").chip.has_value());
  CHECK(split_name(0x10de, "broken ] [").model == "broken ] [");
}

TEST_CASE("one id, several cards: evidence decides or the whole text stays") {
  const std::string name = "Radeon Pro VII/Radeon Instinct MI50 32GB";
  const DeviceId id{0x1002, 0x66a1};
  constexpr std::uint64_t k32 = 34342961152;
  constexpr std::uint64_t k16 = 17163091968;
  CHECK(choose_model(name, {id, 0x02, k32}) == "Radeon Instinct MI50 32GB");
  CHECK(choose_model(name, {id, 0x06, k16}) == "Radeon Pro VII");
  CHECK(choose_model(name, {id, 0x02, k16}) == name);  // a 16 GB MI50 has no name of its own
  CHECK(choose_model(name, {id, 0x02, std::nullopt}) == name);
  CHECK(choose_model(name, {id, std::nullopt, k16}) == name);
  CHECK(choose_model(name, {id, 0x00, k32}) == name);
  CHECK(choose_model("Tesla T4", {{0x10de, 0x1eb8}, {}, {}}) == "Tesla T4");
  CHECK(choose_model("GeForce GTX 1650 Mobile / Max-Q", {{0x10de, 0x1f9d}, {}, {}}) ==
        "GeForce GTX 1650 Mobile / Max-Q");
  CHECK(choose_model("X 40GB/X 80GB", {{0x10de, 1}, {}, 85520809984}) == "X 80GB");
}

TEST_CASE("architecture and instruction set by chip") {
  const struct {
    std::uint16_t vendor;
    const char* name;
    const char* architecture;
    const char* isa;
  } cases[] = {{0x10de, "GP100GL [Tesla P100 PCIe 16GB]", "Pascal", "sm_60"},
               {0x10de, "GV100GL [Tesla V100 SXM2 16GB]", "Volta", "sm_70"},
               {0x10de, "TU104GL [Tesla T4]", "Turing", "sm_75"},
               {0x10de, "GA100 [A100 SXM4 40GB]", "Ampere", "sm_80"},
               {0x10de, "GA102GL [A40]", "Ampere", "sm_86"},
               {0x10de, "AD102GL [L40S]", "Ada", "sm_89"},
               {0x10de, "GH100 [H100 SXM5 80GB]", "Hopper", "sm_90"},
               {0x10de, "GB100 [B200]", "Blackwell", "sm_100"},
               {0x1002, "Vega 20 [x]", "GCN5", "gfx906"},
               {0x1002, "Arcturus GL-XL [Instinct MI100]", "CDNA", "gfx908"},
               {0x1002, "Aldebaran/MI200 [Instinct MI210]", "CDNA2", "gfx90a"},
               {0x1002, "Aqua Vanjaram [Instinct MI300X]", "CDNA3", "gfx942"},
               {0x1002, "[Instinct MI355X]", "CDNA4", "gfx950"}};
  for (const auto& each : cases) {
    CAPTURE(each.name);
    const Architecture found = architecture_of(each.vendor, split_name(each.vendor, each.name));
    CHECK(found.name == each.architecture);
    CHECK(found.isa == each.isa);
  }
  CHECK(architecture_of(0x8086, split_name(0x8086, "Ponte Vecchio XT [x]")).name == "Xe-HPC");
  CHECK_FALSE(architecture_of(0x10de, {}).name.has_value());
  CHECK_FALSE(architecture_of(0x1002, split_name(0x1002, "Unheard Of")).name.has_value());
}

TEST_CASE("memory by name and board, where no driver tells") {
  constexpr std::uint64_t kGib = std::uint64_t{1} << 30;
  const auto nvidia = [](const char* model) {
    return nominal_memory({kVendorNvidia, 0x20b0}, std::string(model), std::nullopt);
  };
  CHECK(nvidia("A100 SXM4 40GB") == 40 * kGib);
  CHECK(nvidia("A800-SXM4-80GB") == 80 * kGib);
  CHECK(nvidia("Tesla T4") == 16 * kGib);
  CHECK(nvidia("A2 / A16") == 16 * kGib);
  CHECK(nvidia("L4") == 24 * kGib);
  CHECK(nvidia("L40S") == 48 * kGib);
  CHECK(nvidia("GH200 120GB / 480GB") == 96 * kGib);
  CHECK_FALSE(nvidia("Quadro RTX 6000/8000"));
  CHECK_FALSE(nvidia("GeForce RTX 3060"));
  CHECK_FALSE(nvidia(""));
  CHECK_FALSE(nvidia("0GB"));
  CHECK_FALSE(nvidia("99999999999GB"));
  const DeviceId vega{kVendorAmd, 0x66a1};
  CHECK(nominal_memory(vega, {}, "1002:081e") == 16 * kGib);
  CHECK(nominal_memory(vega, {}, "1002:0834") == 32 * kGib);
  CHECK_FALSE(nominal_memory(vega, "Radeon Instinct MI50 32GB", "1002:ffff"));
  CHECK(board_model(vega, "1002:081e") == "Radeon Instinct MI50 16GB");
  CHECK(nominal_memory({kVendorIntel, 0x0bda}, "Data Center GPU Max 1100", {}) == 48 * kGib);
}

TEST_CASE("Intel's generations by id, and which of them are cards") {
  CHECK(intel_architecture(0x5917) == "Gen9");
  CHECK(intel_architecture(0x0bda) == "Xe-HPC");
  CHECK(intel_architecture(0xe20b) == "Xe2-HPG");
  CHECK(intel_architecture(0x46a6) == "Xe-LP");
  CHECK_FALSE(intel_architecture(0xffff));
  CHECK(is_discrete_intel("Xe-HPG", 0x56c0) == true);
  CHECK(is_discrete_intel("Xe-LP", 0x4905) == true);
  CHECK(is_discrete_intel("Gen9", 0x5917) == false);
  CHECK_FALSE(is_discrete_intel(std::nullopt, 0xffff));
}
