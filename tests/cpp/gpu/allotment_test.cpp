#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "fake_sysfs.hpp"
#include "gpuctl/gpu/inventory.hpp"

using namespace gpuctl;
using namespace gpuctl::gpu;
using gpuctl::gpu::test::FakeSysfs;

namespace {

using Set = std::map<std::string, std::string>;

SlotEnv slot_of(const Set& variables) {
  return make_slot_env([&](const std::string& name) -> SlotEnv::Value {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : SlotEnv::Value(found->second);
  });
}

Inventory look(const FakeSysfs& sysfs, const Set& variables = {}) {
  const Result<Inventory> inventory = discover(sysfs.fs(), {{}, slot_of(variables)});
  REQUIRE(inventory.has_value());
  return *inventory;
}

// The buses of the GPUs that the slot may use: "03 41".
std::string allotted(const FakeSysfs& sysfs, const Set& variables) {
  std::string text;
  for (const Gpu& each : look(sysfs, variables).gpus) {
    CHECK(each.allotted == each.allotment_reasons.empty());
    if (each.allotted)
      text += (text.empty() ? "" : " ") + each.id.substr(5, 2) + each.id.substr(12);
  }
  return text;
}

void add_nvidia(const FakeSysfs& sysfs, const std::string& bus, int minor,
                const std::string& device = "0x20b0") {
  const std::string address = "0000:" + bus + ":00.0";
  sysfs.add_function(address, {{"class", "0x030200"}, {"vendor", "0x10de"}, {"device", device}});
  sysfs.bind(address, "nvidia");
  sysfs.write("proc/driver/nvidia/gpus/" + address + "/information",
              "GPU UUID: GPU-" + bus +
                  "ffee00-1f6b-4a2d-9c3e-000000000000\nDevice Minor: " + std::to_string(minor));
}

// KFD's order is not that of PCI.
void add_amd(const FakeSysfs& sysfs, const std::string& bus, int kfd, int minor) {
  const std::string address = "0000:" + bus + ":00.0";
  sysfs.add_function(address, {{"class", "0x038000"},
                               {"vendor", "0x1002"},
                               {"device", "0x740f"},
                               {"unique_id", "00000000000000" + bus}});
  sysfs.bind(address, "amdgpu");
  const unsigned long number = std::stoul(bus, nullptr, 16);
  sysfs.write("sys/class/kfd/kfd/topology/nodes/" + std::to_string(kfd) + "/properties",
              "simd_count 416\nsimd_per_cu 4\ndevice_id 29711\nlocation_id " +
                  std::to_string(number << 8) + "\nunique_id " + std::to_string(number) +
                  "\ndrm_render_minor " + std::to_string(minor));
}

void add_intel(const FakeSysfs& sysfs, const std::string& bus, int tiles) {
  const std::string address = "0000:" + bus + ":00.0";
  sysfs.add_function(address, {{"class", "0x038000"}, {"vendor", "0x8086"}, {"device", "0x0bd5"}});
  sysfs.bind(address, "xe");
  for (int tile = 0; tile < tiles; ++tile)
    sysfs.write(sysfs.device(address) / ("tile" + std::to_string(tile)) / "id", "0");
}

struct FourNvidia {
  FakeSysfs sysfs;
  FourNvidia() {
    add_nvidia(sysfs, "03", 2);
    add_nvidia(sysfs, "41", 0);
    add_nvidia(sysfs, "82", 1);
    add_nvidia(sysfs, "c1", 3);
  }
};

}  // namespace

TEST_CASE("nothing said, all allotted") {
  const FourNvidia node;
  CHECK(allotted(node.sysfs, {}) == "03 41 82 c1");
}

TEST_CASE("CUDA_VISIBLE_DEVICES by index, up to the first entry that is none") {
  const FourNvidia node;
  const auto with = [&](const std::string& mask) {
    return allotted(node.sysfs, {{"CUDA_VISIBLE_DEVICES", mask}});
  };
  CHECK(with("1") == "41");
  CHECK(with("3,0") == "03 c1");
  CHECK(with(" 2 , 1 ") == "41 82");
  CHECK(with("0,-1,2") == "03");
  CHECK(with("0,7,2") == "03");
  CHECK(with("") == "");
  CHECK(with("NoDevFiles") == "");
  CHECK(with("10000") == "");
  CHECK(with("0x1") == "");
}

TEST_CASE("CUDA_VISIBLE_DEVICES by UUID, whole or shortened as long as it is one GPU's") {
  const FourNvidia node;
  const auto with = [&](const std::string& mask) {
    return allotted(node.sysfs, {{"CUDA_VISIBLE_DEVICES", mask}});
  };
  CHECK(with("GPU-82ffee00-1f6b-4a2d-9c3e-000000000000") == "82");
  CHECK(with("GPU-82ffee00,GPU-03") == "03 82");
  CHECK(with("gpu-82FFEE00") == "82");
  CHECK(with("GPU-") == "");
  CHECK(with("GPU-99ffee00") == "");
  CHECK(with("GPU-82ffee00-1f6b-4a2d-9c3e-0000000000001") == "");
}

TEST_CASE("indices of GPUs that differ are right with PCI_BUS_ID only") {
  FourNvidia node;
  add_nvidia(node.sysfs, "d1", 4, "0x27b8");
  CHECK(allotted(node.sysfs, {{"CUDA_VISIBLE_DEVICES", "1"}}).empty());
  CHECK(look(node.sysfs, {{"CUDA_VISIBLE_DEVICES", "1"}}).gpus[0].allotment_reasons[0].code ==
        "mask_unresolved");
  CHECK(allotted(node.sysfs,
                 {{"CUDA_VISIBLE_DEVICES", "1"}, {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"}}) == "41");
}

TEST_CASE("a GPU that cannot be counted has no index") {
  FourNvidia node;
  node.sysfs.write(node.sysfs.device("0000:03:00.0") / "revision", "0xff");
  const Inventory inventory = look(node.sysfs, {{"CUDA_VISIBLE_DEVICES", "0"}});
  CHECK(inventory.gpus[0].health.state == HealthState::lost);
  CHECK_FALSE(inventory.gpus[0].orders.cuda);
  CHECK_FALSE(inventory.gpus[0].allotted);
  CHECK(inventory.gpus[1].orders.cuda == 0);
  CHECK(inventory.gpus[1].allotted);
}

TEST_CASE("ROCm: KFD's order, and HIP counts what ROCR leaves") {
  FakeSysfs sysfs;
  add_amd(sysfs, "03", 7, 129);
  add_amd(sysfs, "43", 5, 128);
  add_amd(sysfs, "63", 2, 130);
  const Inventory inventory = look(sysfs, {{"ROCR_VISIBLE_DEVICES", "2,0"}});
  CHECK(inventory.gpus[0].orders.rocr == 2);
  CHECK(inventory.gpus[0].orders.hip == 0);
  CHECK(inventory.gpus[1].orders.rocr == 1);
  CHECK_FALSE(inventory.gpus[1].orders.hip);
  CHECK(inventory.gpus[2].orders.hip == 1);
  CHECK(allotted(sysfs, {{"ROCR_VISIBLE_DEVICES", "2,0"}}) == "03 63");
  CHECK(allotted(sysfs, {{"ROCR_VISIBLE_DEVICES", "2,0"}, {"HIP_VISIBLE_DEVICES", "0"}}) == "03");
  CHECK(allotted(sysfs, {{"ROCR_VISIBLE_DEVICES", "GPU-0000000000000043"}}) == "43");
  CHECK(allotted(sysfs, {{"HIP_VISIBLE_DEVICES", "0"}}) == "63");
  CHECK(allotted(sysfs, {{"CUDA_VISIBLE_DEVICES", "1"}}) == "43");
  CHECK(allotted(sysfs, {{"HIP_VISIBLE_DEVICES", "0"}, {"CUDA_VISIBLE_DEVICES", "1"}}) == "63");
  CHECK(allotted(sysfs, {{"SLURM_JOB_GPUS", "0,2"}}) == "43 63");
  CHECK(allotted(sysfs, {{"SLURM_JOB_GPUS", "129"}}) == "03");
}

TEST_CASE("Level Zero: cards, tiles, and a card of which the slot has one tile") {
  FakeSysfs sysfs;
  add_intel(sysfs, "29", 2);
  add_intel(sysfs, "9a", 2);
  CHECK(allotted(sysfs, {{"ZE_AFFINITY_MASK", "2,3"}}) == "9a");
  CHECK(allotted(sysfs, {{"ZE_AFFINITY_MASK", "1"}, {"ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE"}}) ==
        "9a");
  CHECK(allotted(sysfs, {{"ZE_AFFINITY_MASK", "0.0,0.1"},
                         {"ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE"}}) == "29");
  const Inventory inventory = look(sysfs, {{"ZE_AFFINITY_MASK", "1"}});
  CHECK(inventory.gpus[0].allotment_reasons[0].code == "mask_in_part");
  CHECK(inventory.gpus[1].allotment_reasons[0].code == "mask");
  CHECK(inventory.gpus[1].orders.level_zero == 1);
  CHECK(inventory.gpus[1].orders.level_zero_flat == 2);
}

TEST_CASE("Slurm counts device files, HTCondor short UUIDs") {
  const FourNvidia node;
  CHECK(allotted(node.sysfs, {{"SLURM_JOB_GPUS", "0,3"}}) == "41 c1");
  CHECK(allotted(node.sysfs, {{"SLURM_JOB_GPUS", "0-1"}}) == "41 82");
  CHECK(allotted(node.sysfs, {{"SLURM_JOB_GPUS", "0,3"}, {"SLURM_STEP_GPUS", "3"}}) == "c1");
  // The narrower of two: Slurm says minors, CUDA's mask says places.
  CHECK(allotted(node.sysfs, {{"SLURM_JOB_GPUS", "2"}, {"CUDA_VISIBLE_DEVICES", "0"}}) == "03");
  CHECK(allotted(node.sysfs, {{"_CONDOR_AssignedGPUs", "GPU-03ffee00, GPU-c1ffee00"}}) == "03 c1");
  CHECK(allotted(node.sysfs, {{"_CONDOR_AssignedGPUs", "CUDA1"}}) == "41");
  CHECK(allotted(node.sysfs, {{"_CONDOR_AssignedGPUs", "none"}}) == "");
}

TEST_CASE("Slurm's numbers without a vendor, where there are two, allot nothing") {
  FourNvidia node;
  add_amd(node.sysfs, "63", 2, 130);
  CHECK(allotted(node.sysfs, {{"SLURM_JOB_GPUS", "0"}}).empty());
  CHECK(allotted(node.sysfs, {{"SLURM_JOB_GPUS", "0"}, {"CUDA_VISIBLE_DEVICES", "1"}}) == "41");
}

TEST_CASE("MIG: a mask of an instance is one partition, of the GPU all of them") {
  FakeSysfs sysfs;
  add_nvidia(sysfs, "03", 0);
  add_nvidia(sysfs, "41", 1);
  const std::string mig = "proc/driver/nvidia/capabilities/gpu1/mig/";
  for (const int gi : {7, 8, 11}) {
    const std::string instance = mig + "gi" + std::to_string(gi);
    sysfs.write(instance + "/access", "DeviceFileMinor: " + std::to_string(gi * 10));
    sysfs.write(instance + "/ci0/access", "DeviceFileMinor: " + std::to_string(gi * 10 + 1));
  }
  const Inventory inventory = look(sysfs);
  REQUIRE(inventory.gpus.size() == 5);
  const Gpu& parent = inventory.gpus[1];
  CHECK_FALSE(parent.usable);
  CHECK(parent.health.state == HealthState::ok);
  CHECK(parent.health.reasons[0].code == "partitioned");
  CHECK_FALSE(parent.orders.cuda);
  CHECK(inventory.gpus[2].id == "0000:41:00.0.mig-gi7-ci0");
  CHECK(inventory.gpus[4].id == "0000:41:00.0.mig-gi11-ci0");
  CHECK(inventory.gpus[2].device_nodes.back() == "/dev/nvidia-caps/nvidia-cap71");
  const std::string uuid = "GPU-41ffee00-1f6b-4a2d-9c3e-000000000000";
  CHECK(inventory.gpus[3].mig_name == "MIG-" + uuid + "/8/0");
  CHECK(allotted(sysfs, {{"CUDA_VISIBLE_DEVICES", *inventory.gpus[3].mig_name}}) ==
        "41.mig-gi8-ci0");
  CHECK(allotted(sysfs, {{"CUDA_VISIBLE_DEVICES", uuid}}) ==
        "41 41.mig-gi7-ci0 41.mig-gi8-ci0 41.mig-gi11-ci0");
  const Inventory unknown =
      look(sysfs, {{"CUDA_VISIBLE_DEVICES", "MIG-8ae1a3f7-0000-5000-8000-000000000000"}});
  CHECK(unknown.gpus[2].allotment_reasons[0].code == "mask_unresolved");
}

TEST_CASE("hostile masks allot nothing and break nothing") {
  const FourNvidia node;
  const std::string endless(1 << 20, ',');
  for (const std::string& mask :
       {endless, std::string("\0\x01\xff", 3), std::string("999999999999999999999999"),
        std::string("GPU-\xff"), std::string("MIG-GPU-/0/0"), std::string("MIG-////"),
        std::string("-"), std::string("0.0.0"), std::string(100000, '9')}) {
    for (const std::string& name : slot_variables()) {
      if (name == "CUDA_DEVICE_ORDER" || name == "ZE_FLAT_DEVICE_HIERARCHY") continue;
      const Inventory inventory = look(node.sysfs, {{name, mask}});
      const bool concerned = name.rfind("CUDA", 0) == 0 || name.rfind("SLURM", 0) == 0 ||
                             name.rfind("_CONDOR", 0) == 0;
      for (const Gpu& each : inventory.gpus) {
        CHECK(each.allotted != concerned);
        for (const AllotmentReason& reason : each.allotment_reasons)
          CHECK(reason.detail.size() < 300);
      }
    }
  }
}
