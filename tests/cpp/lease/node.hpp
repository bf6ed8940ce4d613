// A node for the ledger's tests: a directory for each GPU's lock, the GPUs as values, and a state directory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gpuctl/gpu/gpu.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "support/temp_tree.hpp"

namespace gpuctl::lease::test {

class TestNode {
 public:
  explicit TestNode(unsigned gpus) : fs_(open(tree_, gpus)) {
    for (unsigned i = 0; i < gpus; ++i) gpus_.push_back(gpu(i));
  }

  static std::string address(unsigned number) {
    return "0000:0" + std::to_string(number + 1) + ":00.0";
  }

  const HostFs& fs() const { return fs_; }
  std::string state() const { return tree_.path("state"); }
  std::string ledger_path(const std::string& name) const { return state() + "/ledger/" + name; }
  std::vector<gpu::Gpu>& gpus() { return gpus_; }

  Node node() const {
    return
        [this] { return Result<SharedGpus>(std::make_shared<const std::vector<gpu::Gpu>>(gpus_)); };
  }

  Result<Ledger> ledger() const { return Ledger::open({&fs_, state(), Scope::node}); }

  static Request request(std::size_t count) {
    Request wanted;
    wanted.wish.count = count;
    return wanted;
  }

  // Numbers of the GPUs in `units`, as digits: "013".
  static std::string numbers(const std::vector<Unit>& units) {
    std::string text;
    for (const Unit& unit : units) text += static_cast<char>(unit.pci_address[6] - 1);
    return text;
  }

 private:
  static HostFs open(const testing::TempTree& tree, unsigned gpus) {
    for (unsigned i = 0; i < gpus; ++i)
      std::filesystem::create_directories(tree.path("root/sys/bus/pci/devices/" + address(i)));
    std::filesystem::create_directories(tree.path("root/sys/class/drm"));
    return std::move(*HostFs::open(tree.path("root")));
  }

  static gpu::Gpu gpu(unsigned number) {
    gpu::Gpu one;
    one.pci_address = *gpu::PciAddress::parse(address(number));
    one.id = one.pci_address->text();
    one.vendor = "nvidia";
    one.model = "A100 PCIe 40GB";
    one.usable = true;
    one.numa_node = static_cast<int>(number / 4);
    return one;
  }

  testing::TempTree tree_;
  HostFs fs_;
  std::vector<gpu::Gpu> gpus_;
};

inline Proof proven() {
  Proof proof;
  proof.empty = true;
  proof.how = "test";
  return proof;
}

}  // namespace gpuctl::lease::test
