#include "gpuctl/fence/masks.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace gpuctl;

namespace {

gpu::Gpu make_gpu(const std::string& id, const std::string& vendor) {
  gpu::Gpu gpu;
  gpu.id = id;
  gpu.vendor = vendor;
  return gpu;
}

std::map<std::string, std::string> masks(const std::vector<gpu::Gpu>& node,
                                         const std::vector<gpu::Gpu>& assigned) {
  const fence::Variables variables = fence::mask_variables(node, assigned);
  return {variables.begin(), variables.end()};
}

}  // namespace

TEST_CASE("without a GPU no runtime sees any") {
  const auto found = masks({make_gpu("0000:01:00.0", "nvidia")}, {});
  CHECK(found.at("CUDA_VISIBLE_DEVICES") == "-1");
  CHECK(found.at("ROCR_VISIBLE_DEVICES") == "-1");
  CHECK(found.at("ZE_AFFINITY_MASK") == "65535");
  CHECK(found.at("HIP_VISIBLE_DEVICES").empty());
}

TEST_CASE("names where all have one, else indices in PCI order") {
  gpu::Gpu first = make_gpu("0000:01:00.0", "nvidia");
  gpu::Gpu second = make_gpu("0000:02:00.0", "nvidia");
  second.uuid = "GPU-2";
  CHECK(masks({first, second}, {second}).at("CUDA_VISIBLE_DEVICES") == "GPU-2");
  const auto mixed = masks({first, second}, {first, second});
  CHECK(mixed.at("CUDA_VISIBLE_DEVICES") == "0,1");
  CHECK(mixed.at("CUDA_DEVICE_ORDER") == "PCI_BUS_ID");
}

TEST_CASE("a MIG instance has a name of its own: CUDA's indices count whole GPUs") {
  std::vector<gpu::Gpu> node{make_gpu("0000:01:00.0", "nvidia"),
                             make_gpu("0000:01:00.0.mig-gi7-ci0", "nvidia"),
                             make_gpu("0000:02:00.0", "nvidia")};
  node[1].mig_name = "MIG-GPU-1/7/0";
  node[2].uuid = "GPU-2";
  CHECK(masks(node, {node[1], node[2]}).at("CUDA_VISIBLE_DEVICES") == "MIG-GPU-1/7/0,GPU-2");
}

TEST_CASE("a vendor's indices count that vendor's GPUs alone") {
  const std::vector<gpu::Gpu> node{
      make_gpu("0000:01:00.0", "nvidia"), make_gpu("0000:02:00.0", "amd"),
      make_gpu("0000:03:00.0", "intel"), make_gpu("0000:04:00.0", "amd")};
  const auto found = masks(node, {node[3], node[2]});
  CHECK(found.at("ROCR_VISIBLE_DEVICES") == "1");
  CHECK(found.at("ZE_AFFINITY_MASK") == "0");
  CHECK(found.at("CUDA_VISIBLE_DEVICES") == "-1");
}

TEST_CASE("partitions that share a unique id are told apart by ROCr's index") {
  std::vector<gpu::Gpu> node{make_gpu("0000:05:00.0.cpx-0", "amd"),
                             make_gpu("0000:05:00.0.cpx-1", "amd")};
  for (gpu::Gpu& each : node) each.unique_id = "e3aa140f9a5f9e31";
  node[0].orders.rocr = 6;
  node[1].orders.rocr = 4;
  CHECK(masks(node, {node[1]}).at("ROCR_VISIBLE_DEVICES") == "4");
  node[0].unique_id = "e3aa140f9a5f9e32";
  CHECK(masks(node, {node[1]}).at("ROCR_VISIBLE_DEVICES") == "GPU-e3aa140f9a5f9e31");
}
