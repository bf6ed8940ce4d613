#include <doctest/doctest.h>

#include "fake_sysfs.hpp"
#include "gpuctl/gpu/drm.hpp"
#include "gpuctl/gpu/kfd.hpp"
#include "gpuctl/gpu/mig.hpp"
#include "gpuctl/gpu/nvidia_proc.hpp"

using namespace gpuctl;
using namespace gpuctl::gpu;
using gpuctl::gpu::test::FakeSysfs;

namespace {

const PciAddress kAddress{0, 7, 0, 0};

const char* const kInformation =
    "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 212\n"
    "GPU UUID: \t GPU-c0ffee00-1f6b-4a2d-9c3e-000000000000\nBus Location: \t 0000:07:00.0\n"
    "Device Minor: \t 12\nGPU Excluded:\t No";

}  // namespace

TEST_CASE("nvidia's information file") {
  const NvidiaProcGpu gpu = parse_nvidia_information(kAddress, kInformation);
  CHECK(gpu.model == "NVIDIA A100-SXM4-40GB");
  CHECK(gpu.uuid == "GPU-c0ffee00-1f6b-4a2d-9c3e-000000000000");
  CHECK(gpu.minor == 12U);
  CHECK_FALSE(gpu.excluded);
}

TEST_CASE("what the NVIDIA driver does not know is unknown") {
  const NvidiaProcGpu gpu =
      parse_nvidia_information(kAddress,
                               "Model: Unknown\nGPU UUID: GPU-????????\nDevice Minor: x\nGPU "
                               "Excluded: Yes\n:\n");
  CHECK_FALSE(gpu.model.has_value());
  CHECK_FALSE(gpu.uuid.has_value());
  CHECK_FALSE(gpu.minor.has_value());
  CHECK(gpu.excluded);
}

TEST_CASE("nvidia's folder: sorted, with and without the information file") {
  FakeSysfs sysfs;
  std::filesystem::create_directories(sysfs.root() / "proc/driver/nvidia/gpus/0035:05:00.0");
  sysfs.write("proc/driver/nvidia/gpus/0004:05:00.0/information", kInformation);
  std::vector<Problem> found;
  ProblemSink problems(found);
  const std::vector<NvidiaProcGpu> gpus = read_nvidia_proc(sysfs.fs(), problems);
  REQUIRE(gpus.size() == 2);
  CHECK(gpus[0].minor == 12U);
  CHECK_FALSE(gpus[1].model.has_value());
  CHECK(found.empty());
}

TEST_CASE("KFD: the ISA's stepping is hexadecimal") {
  CHECK(isa_of_target_version(90010) == "gfx90a");
  CHECK(isa_of_target_version(90402) == "gfx942");
  CHECK(isa_of_target_version(90006) == "gfx906");
  CHECK(isa_of_target_version(110003) == "gfx1103");
  CHECK_FALSE(isa_of_target_version(0).has_value());
  CHECK_FALSE(isa_of_target_version(99999999).has_value());
}

TEST_CASE("KFD: CPU nodes are no GPUs, banks tell the memory") {
  FakeSysfs sysfs;
  const std::string nodes = "sys/class/kfd/kfd/topology/nodes/";
  sysfs.write(nodes + "0/properties", "cpu_cores_count 8\nsimd_count 0");
  sysfs.write(
      nodes + "10/properties",
      "simd_count 240\nlocation_id 25344\ndomain 1\ndevice_id 26273\ngfx_target_version 90006\n"
      "unique_id 255\ndrm_render_minor 128\nlocal_mem_size 0\nnonsense\nx y");
  sysfs.write(nodes + "10/mem_banks/0/properties", "heap_type 1\nsize_in_bytes 1000");
  sysfs.write(nodes + "10/mem_banks/1/properties", "heap_type 2\nsize_in_bytes 24");
  sysfs.write(nodes + "10/mem_banks/2/properties", "heap_type 0\nsize_in_bytes 777");
  std::vector<Problem> found;
  ProblemSink problems(found);
  const KfdTopology topology = read_kfd(sysfs.fs(), problems);
  CHECK(topology.present);
  REQUIRE(topology.nodes.size() == 1);
  const KfdNode& node = topology.nodes[0];
  CHECK(node.address.text() == "0001:63:00.0");
  CHECK(node.device == 0x66a1);
  CHECK(node.unique_id == "00000000000000ff");
  CHECK(node.memory_bytes == 1024U);
  CHECK(node.render_minor == 128U);
  CHECK(node.compute_units == std::nullopt);
}

TEST_CASE("KFD: xGMI links, with hops and bandwidth where they are told") {
  const auto text = [](const char* type, const char* weight, const char* bandwidth) {
    return std::string("type ") + type + "\nnode_from 4\nnode_to 5\nweight " + weight +
           "\nmax_bandwidth " + bandwidth;
  };
  const std::optional<KfdLink> near = parse_kfd_link(text("11", "15", "200000"));
  REQUIRE(near);
  CHECK(near->to == 5);
  CHECK(near->hops == 1);
  CHECK(near->bandwidth_bytes_per_s == 200'000'000'000U);
  CHECK(parse_kfd_link(text("11", "13", "0"))->hops == 1);  // within one package
  CHECK(parse_kfd_link(text("11", "30", "0"))->hops == 2);
  CHECK_FALSE(parse_kfd_link(text("11", "30", "0"))->bandwidth_bytes_per_s);
  CHECK_FALSE(parse_kfd_link(text("2", "20", "31504")));
  CHECK_FALSE(parse_kfd_link("type 11\nweight 15"));
  CHECK_FALSE(parse_kfd_link(""));
}

KfdNode kfd_node(unsigned number, const PciAddress& address, const std::string& unique_id) {
  KfdNode node;
  node.number = number;
  node.address = address;
  node.device = 0x74a1;
  node.unique_id = unique_id;
  return node;
}

TEST_CASE("KFD: functions that PCI does not have are partitions of the card") {
  KfdTopology topology;
  topology.nodes = {kfd_node(1, {0, 5, 0, 0}, "aa"), kfd_node(2, {0, 5, 0, 1}, "aa"),
                    kfd_node(3, {0, 5, 0, 2}, "bb"), kfd_node(4, {0, 6, 0, 0}, "cc")};
  const std::vector<KfdCard> cards = topology.cards({});
  REQUIRE(cards.size() == 2);
  REQUIRE(cards[0].nodes.size() == 3);
  CHECK(cards[0].nodes[2].partition == 2);
  CHECK(cards[0].nodes[2].address == PciAddress{0, 5, 0, 0});
  CHECK(topology.cards({{0, 5, 0, 0}, {0, 5, 0, 1}, {0, 5, 0, 2}}).size() == 4);
}

TEST_CASE("KFD: a GPU at function 1 alone stays there; two ids in one place are two cards") {
  KfdTopology topology;
  topology.nodes = {kfd_node(1, {0, 0x84, 0, 1}, "aa")};
  CHECK(topology.cards({}).front().first().address == PciAddress{0, 0x84, 0, 1});
  topology.nodes = {kfd_node(1, {0, 0x19, 0, 0}, "aa"), kfd_node(2, {0, 0x19, 0, 0}, "ab")};
  CHECK(topology.cards({}).size() == 2);
  topology.nodes[1].unique_id = "aa";
  CHECK(topology.cards({}).size() == 1);
}

TEST_CASE("MIG: instances by number, with the nodes of both capabilities") {
  FakeSysfs sysfs;
  const std::string mig = "proc/driver/nvidia/capabilities/gpu3/mig/";
  const auto access = [](int minor) {
    return "DeviceFileMinor: " + std::to_string(minor) + "\nDeviceFileMode: 292";
  };
  sysfs.write(mig + "gi10/access", access(93));
  sysfs.write(mig + "gi10/ci0/access", access(94));
  sysfs.write(mig + "gi2/access", "garbage");
  sysfs.write(mig + "gi2/ci1/access", access(22));
  sysfs.write(mig + "gix/ci0/access", access(1));
  sysfs.write("proc/driver/nvidia/capabilities/mig/config", access(1));
  std::vector<Problem> found;
  ProblemSink problems(found);
  const std::vector<MigInstance> instances = read_mig_instances(sysfs.fs(), 3, problems);
  REQUIRE(instances.size() == 2);
  CHECK(instances[0].gpu_instance == 2);
  CHECK(instances[0].cap_nodes == std::vector<std::string>{"/dev/nvidia-caps/nvidia-cap22"});
  CHECK(instances[1].cap_nodes ==
        std::vector<std::string>{"/dev/nvidia-caps/nvidia-cap93", "/dev/nvidia-caps/nvidia-cap94"});
  CHECK(read_mig_instances(sysfs.fs(), 0, problems).empty());
  CHECK(found.empty());
}

TEST_CASE("DRM: a card counts once, by its PCI function or alone") {
  FakeSysfs sysfs;
  const std::string card = "sys/class/drm/card2/device/";
  sysfs.write(card + "class", "0x030000");
  sysfs.write(card + "vendor", "0x1002");
  sysfs.write(card + "device", "0x687f");
  sysfs.write("sys/class/drm/card0-VGA-1/status", "connected");
  sysfs.write("sys/class/drm/version", "drm 1.1.0");
  std::filesystem::create_symlink("../../devices/pci0000:00/0000:01:00.0/drm/card0",
                                  sysfs.root() / "sys/class/drm/card0");
  sysfs.write("sys/devices/platform/vgem/drm/card1/uevent", "MAJOR=226");
  std::filesystem::create_symlink("../../devices/platform/vgem/drm/card1",
                                  sysfs.root() / "sys/class/drm/card1");
  std::vector<Problem> found;
  ProblemSink problems(found);
  const std::vector<DrmCard> cards = read_orphan_cards(sysfs.fs(), {{0, 1, 0, 0}}, problems);
  CHECK(found.empty());
  REQUIRE(cards.size() == 1);
  CHECK(cards[0].name == "card2");
  CHECK(*cards[0].identity.device == 0x687f);
}

TEST_CASE("DRM minors are sorted by number") {
  const DrmNodes nodes =
      drm_nodes({"card10", "card2", "controlD64", "renderD129", "renderD128", "card2-DP-1"});
  CHECK(nodes.cards == std::vector<std::string>{"/dev/dri/card2", "/dev/dri/card10"});
  CHECK(nodes.render == std::vector<std::string>{"/dev/dri/renderD128", "/dev/dri/renderD129"});
}
