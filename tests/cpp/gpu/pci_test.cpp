#include "gpuctl/gpu/pci.hpp"

#include <doctest/doctest.h>

#include "fake_sysfs.hpp"

using namespace gpuctl;
using namespace gpuctl::gpu;
using gpuctl::gpu::test::FakeSysfs;

namespace {

const char* const kUevent =
    "DRIVER=nvidia\nPCI_CLASS=30200\nPCI_ID=10DE:15F8\nPCI_SUBSYS_ID=10DE:118F\nPCI_SLOT_NAME=0000:"
    "06:00.0\n"
    "MODALIAS=pci:v000010DEd000015F8sv000010DEsd0000118Fbc03sc02i00";

Dir open_device(const FakeSysfs& sysfs, const std::string& address) {
  return std::move(*sysfs.fs().open_dir("sys/bus/pci/devices/" + address));
}

}  // namespace

TEST_CASE("uevent tells class, ids and driver") {
  const PciIdentity identity = parse_uevent(kUevent);
  REQUIRE(identity.is_complete());
  CHECK(*identity.class_code == 0x030200);
  CHECK(*identity.vendor == 0x10de);
  CHECK(*identity.device == 0x15f8);
  CHECK(identity.subsystem->device == 0x118f);
  CHECK(identity.driver == "nvidia");
}

TEST_CASE("a damaged uevent gives what is whole and nothing else") {
  const PciIdentity identity =
      parse_uevent("PCI_CLASS=1030200\nPCI_ID=10DE\nDRIVER=\nPCI_SUBSYS_ID=0000:0000\n=\nx");
  CHECK_FALSE(identity.class_code.has_value());  // 28 bits
  CHECK_FALSE(identity.vendor.has_value());
  CHECK_FALSE(identity.driver.has_value());
  CHECK_FALSE(identity.subsystem.has_value());
  CHECK_FALSE(parse_uevent(std::string("\0\xff\n\0", 4)).is_complete());
}

TEST_CASE("modalias tells class and ids, PCI_ANY_ID is unknown") {
  const PciIdentity identity =
      parse_modalias("pci:v000010DEd000015F8sv000010DEsd0000118Fbc03sc02i00");
  REQUIRE(identity.is_complete());
  CHECK(*identity.class_code == 0x030200);
  CHECK(identity.subsystem->vendor == 0x10de);
  CHECK_FALSE(parse_modalias("pci:v000010DEd000015F8svFFFFFFFFsdFFFFFFFFbc03sc02i00")
                  .subsystem.has_value());
  CHECK_FALSE(parse_modalias("usb:v1D6Bp0002").vendor.has_value());
  CHECK_FALSE(parse_modalias("pci:v000010DE").device.has_value());
  CHECK_FALSE(parse_modalias("").vendor.has_value());
}

TEST_CASE("a function is known by whichever files there are") {
  FakeSysfs sysfs;
  sysfs.add_function("0000:01:00.0", {{"uevent", kUevent}});
  sysfs.add_function("0000:02:00.0",
                     {{"class", "0x030200"}, {"vendor", "0x10de"}, {"device", "0x20b0"}});
  sysfs.add_function("0000:03:00.0",
                     {{"modalias", "pci:v00001A03d00002000sv00001A03sd00002000bc03sc00i00"}});
  sysfs.add_function("0000:04:00.0",
                     {{"class", "0x030200"}, {"vendor", "0x10de"}, {"uevent", "PCI_ID=10DE:20B0"}});
  const Result<PciScan> scan = scan_pci(sysfs.fs());
  REQUIRE(scan.has_value());
  CHECK(scan->broken.empty());
  CHECK(scan->problems.empty());
  REQUIRE(scan->functions.size() == 4);
  CHECK(scan->functions[0].device == 0x15f8);
  CHECK(scan->functions[1].device == 0x20b0);
  CHECK(scan->functions[2].vendor == 0x1a03);
  CHECK(scan->functions[3].device == 0x20b0);
}

TEST_CASE("for a GPU the plain files win over uevent") {
  FakeSysfs sysfs;
  sysfs.add_function(
      "0000:01:00.0",
      {{"uevent", kUevent}, {"class", "0x030000"}, {"vendor", "0x10de"}, {"device", "0x20b0"}});
  const Result<PciScan> scan = scan_pci(sysfs.fs());
  REQUIRE(scan->functions.size() == 1);
  CHECK(scan->functions[0].device == 0x20b0);
  CHECK(scan->functions[0].class_code == 0x030000);
}

TEST_CASE("a function without ids is kept apart and hides no other") {
  FakeSysfs sysfs;
  sysfs.add_function("0000:01:00.0", {{"class", "0x058000"}});
  sysfs.add_function("0000:02:00.0", {{"class", "0x030200"}, {"vendor", "banana"}, {"device", ""}});
  sysfs.add_function("10000:00:00.0", {{"uevent", kUevent}});
  std::filesystem::create_symlink("../../../devices/gone",
                                  sysfs.root() / "sys/bus/pci/devices/0000:03:00.0");
  const Result<PciScan> scan = scan_pci(sysfs.fs());
  REQUIRE(scan.has_value());
  REQUIRE(scan->functions.size() == 1);
  CHECK(scan->functions[0].address.domain == 0x10000);
  REQUIRE(scan->broken.size() == 3);
  CHECK_FALSE(scan->broken[0].unreadable);
  CHECK(scan->broken[0].detail == "`vendor`, `device` missing");
  CHECK(scan->broken[1].unreadable);
  CHECK_FALSE(scan->broken[2].unreadable);
  CHECK(scan->problems.size() == 2);
  CHECK(scan->problems[0].pci_address == "0000:02:00.0");
}

TEST_CASE("a name that is no address is a problem, not a failure") {
  FakeSysfs sysfs;
  sysfs.write("sys/bus/pci/devices/README", "hello");
  sysfs.add_function("0000:01:00.0", {{"uevent", kUevent}});
  const Result<PciScan> scan = scan_pci(sysfs.fs());
  CHECK(scan->functions.size() == 1);
  REQUIRE(scan->problems.size() == 1);
  CHECK(scan->problems[0].error.code == ErrorCode::malformed);
}

TEST_CASE("details: unknown is empty, never -1") {
  FakeSysfs sysfs;
  sysfs.add_function(
      "0000:01:00.0",
      {{"numa_node", "-1"}, {"local_cpus", "00000000,0000ff0f"}, {"revision", "0xa1"}});
  std::vector<Problem> found;
  ProblemSink problems(found);
  const PciDetails details = read_pci_details(open_device(sysfs, "0000:01:00.0"), problems);
  CHECK(found.empty());
  CHECK_FALSE(details.numa_node.has_value());
  CHECK(details.local_cpus == "0-3,8-15");
  CHECK(details.revision == 0xa1);
  CHECK_FALSE(details.driver.has_value());
  CHECK(details.driver_known);
  CHECK_FALSE(details.config_all_ones);
}

TEST_CASE("a configuration space of all ones is a lost card, unless the card sleeps") {
  FakeSysfs sysfs;
  const std::string ones(64, '\xff');
  sysfs.add_function("0000:01:00.0", {{"config", ones}});
  sysfs.add_function("0000:02:00.0", {{"config", ones}, {"power_state", "D3cold"}});
  sysfs.add_function("0000:03:00.0", {{"config", std::string(64, '\1')}});
  std::vector<Problem> found;
  ProblemSink problems(found);
  CHECK(read_pci_details(open_device(sysfs, "0000:01:00.0"), problems).config_all_ones);
  CHECK_FALSE(read_pci_details(open_device(sysfs, "0000:02:00.0"), problems).config_all_ones);
  const PciDetails well = read_pci_details(open_device(sysfs, "0000:03:00.0"), problems);
  CHECK_FALSE(well.config_all_ones);
  CHECK(well.revision == 1);
}

TEST_CASE("details of a virtual function and of amdgpu") {
  FakeSysfs sysfs;
  sysfs.add_function(
      "0000:01:00.0",
      {{"mem_info_vram_total", "34342961152"}, {"product_name", ""}, {"unique_id", "ab"}});
  sysfs.bind("0000:01:00.0", "amdgpu");
  std::filesystem::create_directories(sysfs.device("0000:01:00.0") / "drm/card10");
  std::filesystem::create_directories(sysfs.device("0000:01:00.0") / "drm/renderD128");
  sysfs.add_function("0000:01:00.1", {{"class", "0x030200"}});
  std::filesystem::create_symlink("../0000:01:00.0", sysfs.device("0000:01:00.1") / "physfn");
  std::vector<Problem> found;
  ProblemSink problems(found);
  const PciDetails card = read_pci_details(open_device(sysfs, "0000:01:00.0"), problems);
  CHECK(card.vram_total_bytes == 34342961152U);
  CHECK_FALSE(card.product_name.has_value());
  CHECK(card.unique_id == "ab");
  CHECK(card.drm_names == std::vector<std::string>{"card10", "renderD128"});
  const PciDetails vf = read_pci_details(open_device(sysfs, "0000:01:00.1"), problems);
  REQUIRE(vf.physical_function.has_value());
  CHECK(vf.physical_function->text() == "0000:01:00.0");
  CHECK(found.empty());
}

TEST_CASE("details that make no sense are problems, and unknown") {
  FakeSysfs sysfs;
  sysfs.add_function("0000:01:00.0", {{"numa_node", "two"},
                                      {"local_cpulist", "all"},
                                      {"local_cpus", "xyz"},
                                      {"revision", "0x100"},
                                      {"mem_info_vram_total", "0"},
                                      {"drm", "a file"}});
  sysfs.bind("0000:01:00.0", "amdgpu");
  std::vector<Problem> found;
  ProblemSink problems(found);
  const PciDetails details = read_pci_details(open_device(sysfs, "0000:01:00.0"), problems);
  CHECK_FALSE(details.numa_node.has_value());
  CHECK_FALSE(details.local_cpus.has_value());
  CHECK_FALSE(details.revision.has_value());
  CHECK_FALSE(details.vram_total_bytes.has_value());
  CHECK(found.size() == 4);
}

TEST_CASE("an address has one spelling") {
  FakeSysfs sysfs;
  sysfs.add_function("0000:0a:00.0", {{"uevent", kUevent}});
  sysfs.add_function("0000:0A:00.0", {{"uevent", kUevent}});
  sysfs.add_function("00000000:0a:00.0", {{"uevent", kUevent}});
  const Result<PciScan> scan = scan_pci(sysfs.fs());
  CHECK(scan->functions.size() == 1);
  CHECK(scan->problems.size() == 2);
}

TEST_CASE("a CPU mask becomes a list") {
  CHECK(*cpu_list_of_mask("ff") == "0-7");
  CHECK(*cpu_list_of_mask("80000000,00000001") == "0,63");
  CHECK(cpu_list_of_mask("0")->empty());
  CHECK(*cpu_list_of_mask("ffffffff,ffffffff") == "0-63");
  for (const char* bad : {"", "g", "ff,", "1ffffffff", "-1"}) {
    CAPTURE(bad);
    CHECK_FALSE(cpu_list_of_mask(bad).has_value());
  }
}
