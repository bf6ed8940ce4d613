// A short run of random input through every parser, the same one each time. The long one is tests/fuzz, with libFuzzer.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "fake_sysfs.hpp"
#include "fuzz_targets.hpp"
#include "gpuctl/gpu/inventory.hpp"

using namespace gpuctl;
using namespace gpuctl::gpu;
using namespace gpuctl::gpu::test;

namespace {

constexpr unsigned kSeed = 20261122;
constexpr int kRunsOfATarget = 4000;
constexpr int kRunsOfATree = 120;

std::size_t below(std::mt19937& random, std::size_t end) { return random() % end; }

// Something else than the text, but not much: bytes changed, removed, doubled, or a piece of another seed put in.
std::string mutated(std::mt19937& random, const std::vector<std::string>& seeds) {
  std::string text = seeds[below(random, seeds.size())];
  for (std::size_t changes = below(random, 6); changes > 0 && !text.empty(); --changes) {
    const std::size_t at = below(random, text.size());
    const std::size_t length = 1 + below(random, text.size() - at);
    switch (below(random, 5)) {
      case 0: text[at] = static_cast<char>(random()); break;
      case 1: text.erase(at, length); break;
      case 2: text.insert(at, text.substr(at, length)); break;
      case 3: text.insert(at, std::string(below(random, 40), "0:f \n-/"[below(random, 7)])); break;
      default: text.insert(at, seeds[below(random, seeds.size())]);
    }
  }
  return text;
}

constexpr std::array<const char*, 19> kPlaces{
    "sys/devices/pci0000:00/0000:09:00.0/uevent",
    "sys/devices/pci0000:00/0000:09:00.0/class",
    "sys/devices/pci0000:00/0000:09:00.0/vendor",
    "sys/devices/pci0000:00/0000:09:00.0/device",
    "sys/devices/pci0000:00/0000:09:00.0/modalias",
    "sys/devices/pci0000:00/0000:09:00.0/numa_node",
    "sys/devices/pci0000:00/0000:09:00.0/local_cpulist",
    "sys/devices/pci0000:00/0000:09:00.0/config",
    "sys/devices/pci0000:00/0000:09:00.0/unique_id",
    "sys/devices/pci0000:00/0000:09:00.0/sriov_numvfs",
    "sys/devices/pci0000:00/0000:09:00.0/aer_dev_fatal",
    "sys/devices/pci0000:00/0000:09:00.0/mem_info_vram_total",
    "sys/devices/pci0000:00/0000:09:00.0/current_compute_partition",
    "sys/devices/pci0000:00/0000:09:00.0/ras/umc_err_count",
    "sys/devices/pci0000:00/0000:09:00.0/ras/gpu_vram_bad_pages",
    "sys/class/kfd/kfd/topology/nodes/3/properties",
    "sys/class/kfd/kfd/topology/nodes/3/mem_banks/0/properties",
    "proc/driver/nvidia/gpus/0000:09:00.0/information",
    "proc/driver/nvidia/capabilities/gpu0/mig/gi1/ci0/access",
};

std::vector<std::string> all_seeds() {
  std::vector<std::string> seeds{"",
                                 "0x1002",
                                 "0x038000",
                                 "0x66a1",
                                 "-1",
                                 "0-7",
                                 "CPX",
                                 "3",
                                 "ue: 4\nce: 1",
                                 "0x1 : 0x1000 : P",
                                 "TOTAL_ERR_FATAL 7",
                                 "heap_type 1\nsize_in_bytes 1024"};
  for (const FuzzTarget& target : fuzz_targets())
    seeds.insert(seeds.end(), target.seeds.begin(), target.seeds.end());
  return seeds;
}

const Gpu* find(const Inventory& inventory, const std::string& id) {
  const auto found = std::find_if(inventory.gpus.begin(), inventory.gpus.end(),
                                  [&](const Gpu& each) { return each.id == id; });
  return found == inventory.gpus.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("no parser minds what it is given") {
  std::mt19937 random(kSeed);  // NOLINT: the same run each time
  for (const FuzzTarget& target : fuzz_targets()) {
    CAPTURE(target.name);
    for (int run = 0; run < kRunsOfATarget; ++run) target.run(mutated(random, target.seeds));
    CHECK(true);  // it is still here
  }
}

TEST_CASE("a neighbour's garbage loses no GPU") {
  FakeSysfs sysfs;
  sysfs.add_function("0000:01:00.0",
                     {{"class", "0x030200"}, {"vendor", "0x10de"}, {"device", "0x20b0"}});
  sysfs.bind("0000:01:00.0", "nvidia");
  sysfs.add_function("0000:09:00.0", {{"class", "0x038000"}});
  sysfs.bind("0000:09:00.0", "amdgpu");
  std::mt19937 random(kSeed);  // NOLINT: the same run each time
  const std::vector<std::string> seeds = all_seeds();
  for (int run = 0; run < kRunsOfATree; ++run) {
    for (int changes = 0; changes < 4; ++changes)
      sysfs.write(kPlaces[below(random, kPlaces.size())], mutated(random, seeds));
    const Result<Inventory> inventory = discover(sysfs.fs(), {{}, {}});
    REQUIRE(inventory.has_value());
    const Gpu* good = find(*inventory, "0000:01:00.0");
    REQUIRE(good != nullptr);
    CHECK(good->usable);
    CHECK(good->health.reasons.empty());
    std::set<std::string> ids;
    for (const Gpu& each : inventory->gpus) CHECK(ids.insert(each.id).second);
    Scrubber scrubber({});
    CHECK(capture_node(sysfs.fs(), scrubber).files.size() < 200);
  }
}
