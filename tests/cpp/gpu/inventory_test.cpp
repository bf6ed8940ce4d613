#include "gpuctl/gpu/inventory.hpp"

#include <doctest/doctest.h>

#include "fake_sysfs.hpp"
#include "gpuctl/gpu/json.hpp"

using namespace gpuctl;
using namespace gpuctl::gpu;
using gpuctl::gpu::test::FakeSysfs;

namespace {

Inventory discover_in(const FakeSysfs& sysfs) {
  Result<Inventory> inventory = discover(sysfs.fs(), {{}, {}});
  REQUIRE(inventory.has_value());
  return std::move(*inventory);
}

void add_gpu(const FakeSysfs& sysfs, const std::string& address, const std::string& vendor,
             const std::string& device, const std::string& driver) {
  sysfs.add_function(address,
                     {{"class", "0x030200"}, {"vendor", "0x" + vendor}, {"device", "0x" + device}});
  if (!driver.empty()) sysfs.bind(address, driver);
}

std::string reason_code(const Gpu& gpu) {
  return gpu.health.reasons.empty() ? "" : gpu.health.reasons[0].code;
}

}  // namespace

TEST_CASE("no sysfs is no answer, a bus without GPUs is one") {
  FakeSysfs sysfs;
  CHECK(discover_in(sysfs).gpus.empty());
  std::filesystem::remove_all(sysfs.root() / "sys");
  const Result<Inventory> nothing = discover(sysfs.fs(), {{}, {}});
  REQUIRE_FALSE(nothing.has_value());
  CHECK(nothing.error().code == ErrorCode::unavailable);
}

TEST_CASE("all vendors at once, sorted by number of the address") {
  FakeSysfs sysfs;
  add_gpu(sysfs, "10000:01:00.0", "10de", "20b0", "nvidia");
  add_gpu(sysfs, "0000:a1:00.0", "1002", "66a1", "amdgpu");
  add_gpu(sysfs, "0000:00:02.0", "8086", "5917", "i915");
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 3);
  CHECK(inventory.gpus[0].vendor == "intel");
  CHECK(inventory.gpus[0].integrated);
  CHECK(inventory.gpus[1].vendor == "amd");
  CHECK(inventory.gpus[2].id == "10000:01:00.0");
  for (const Gpu& gpu : inventory.gpus) CHECK(gpu.usable);
}

TEST_CASE("only a driver that computes makes a GPU usable") {
  FakeSysfs sysfs;
  add_gpu(sysfs, "0000:01:00.0", "10de", "20b0", "nouveau");
  add_gpu(sysfs, "0000:02:00.0", "10de", "20b0", "vfio-pci");
  add_gpu(sysfs, "0000:03:00.0", "10de", "20b0", "");
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 3);
  CHECK(reason_code(inventory.gpus[0]) == "display_driver");
  CHECK(reason_code(inventory.gpus[1]) == "passed_through");
  CHECK(reason_code(inventory.gpus[2]) == "no_driver");
  for (const Gpu& gpu : inventory.gpus) {
    CHECK_FALSE(gpu.usable);
    CHECK(gpu.health.state == HealthState::no_driver);
  }
}

TEST_CASE("a GPU that fell off the bus is lost, whatever its driver says") {
  FakeSysfs sysfs;
  add_gpu(sysfs, "0000:01:00.0", "10de", "20b0", "nvidia");
  sysfs.write(sysfs.device("0000:01:00.0") / "config", std::string(64, '\xff'));
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 1);
  CHECK(inventory.gpus[0].health.state == HealthState::lost);
  CHECK_FALSE(inventory.gpus[0].usable);
}

TEST_CASE("a GPU whose ids are in part unreadable is still a GPU") {
  FakeSysfs sysfs;
  sysfs.add_function("0000:01:00.0",
                     {{"class", "0x030200"}, {"vendor", "0x10de"}, {"device", "trash"}});
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 1);
  CHECK_FALSE(inventory.gpus[0].device_id.has_value());
  CHECK(inventory.gpus[0].health.state == HealthState::unknown);
  CHECK_FALSE(inventory.gpus[0].usable);
  CHECK(inventory.problems.size() == 1);
  CHECK(inventory.ignored.empty());
}

TEST_CASE("the driver's list makes a GPU of a function without ids") {
  FakeSysfs sysfs;
  sysfs.add_function("0004:05:00.0", {{"class", "0x030000"}, {"local_cpus", "0000ffff"}});
  std::filesystem::create_directories(sysfs.root() / "proc/driver/nvidia/gpus/0004:05:00.0");
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 1);
  const Gpu& gpu = inventory.gpus[0];
  CHECK(gpu.vendor == "nvidia");
  CHECK(gpu.class_id == "0300");
  CHECK(gpu.local_cpus == "0-15");
  CHECK(gpu.sources == std::vector<std::string>{"pci", "nvidia_proc"});
  CHECK(inventory.ignored.empty());
}

TEST_CASE("KFD present and silent about an AMD GPU makes it unusable") {
  FakeSysfs sysfs;
  add_gpu(sysfs, "0000:01:00.0", "1002", "66a1", "amdgpu");
  add_gpu(sysfs, "0000:02:00.0", "1002", "66a1", "amdgpu");
  sysfs.write("sys/class/kfd/kfd/topology/nodes/1/properties",
              "simd_count 240\nlocation_id 512\ndevice_id 26273");
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 2);
  CHECK(reason_code(inventory.gpus[0]) == "no_kfd");
  CHECK_FALSE(inventory.gpus[0].usable);
  CHECK(inventory.gpus[1].usable);
  CHECK(inventory.gpus[1].shared_nodes == std::vector<std::string>{"/dev/kfd"});
}

TEST_CASE("nodes missing from /dev make a GPU unusable, an unknown /dev does not") {
  FakeSysfs sysfs;
  add_gpu(sysfs, "0000:01:00.0", "10de", "20b0", "nvidia");
  sysfs.write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Device Minor: 3");
  CHECK(discover_in(sysfs).gpus[0].usable);
  std::filesystem::create_directories(sysfs.root() / "dev");
  const Inventory inventory = discover_in(sysfs);
  CHECK(inventory.gpus[0].device_nodes == std::vector<std::string>{"/dev/nvidia3"});
  CHECK_FALSE(inventory.gpus[0].usable);
  CHECK(inventory.gpus[0].health.state == HealthState::degraded);
  sysfs.write("dev/nvidia3", "a plain file is no device node");
  CHECK_FALSE(discover_in(sysfs).gpus[0].usable);
}

TEST_CASE("a card seen only in DRM has no address") {
  FakeSysfs sysfs;
  sysfs.write("sys/class/drm/card0/device/uevent",
              "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID=1002:687F");
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 1);
  CHECK_FALSE(inventory.gpus[0].pci_address.has_value());
  CHECK(inventory.gpus[0].id == "drm:card0");
  CHECK(inventory.gpus[0].driver == "amdgpu");
}

TEST_CASE("a virtual function has a parent") {
  FakeSysfs sysfs;
  add_gpu(sysfs, "0000:01:00.0", "10de", "2235", "nvidia");
  add_gpu(sysfs, "0000:01:00.4", "10de", "2235", "");
  std::filesystem::create_symlink("../0000:01:00.0", sysfs.device("0000:01:00.4") / "physfn");
  const Inventory inventory = discover_in(sysfs);
  REQUIRE(inventory.gpus.size() == 2);
  CHECK(inventory.gpus[1].kind == GpuKind::vf);
  CHECK(inventory.gpus[1].parent_id == "0000:01:00.0");
}

TEST_CASE("JSON has every key, null for the unknown") {
  FakeSysfs sysfs;
  add_gpu(sysfs, "0000:01:00.0", "10de", "fffe", "");
  sysfs.add_function("0000:02:00.0", {{"class", "0x030000"}});
  const Json json = to_json(discover_in(sysfs));
  CHECK(json["schema"] == "gpuctl.discover/1");
  const Json& gpu = json["gpus"][0];
  for (const char* key :
       {"model", "parent_id", "memory_total_bytes", "uuid", "numa_node", "driver", "isa"}) {
    CAPTURE(key);
    REQUIRE(gpu.contains(key));
    CHECK(gpu[key].is_null());
  }
  CHECK(gpu["names"].empty());
  CHECK(gpu["device_id"] == "fffe");
  CHECK(json["ignored"][0]["vendor_id"].is_null());
  CHECK(json["ignored"][0]["reason"]["code"] == "incomplete");
  CHECK(json["problems"].empty());
}
