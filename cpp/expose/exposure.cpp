#include "gpuctl/expose/exposure.hpp"

#include <algorithm>

namespace gpuctl::expose {
namespace {

using Order = std::optional<int> gpu::Orders::*;

// 0, 1, 2 in the order in which the runtime counts them on the node.
void renumber(std::vector<gpu::Gpu>& gpus, Order order) {
  std::vector<gpu::Gpu*> counted;
  for (gpu::Gpu& each : gpus) {
    if (each.orders.*order) counted.push_back(&each);
  }
  std::sort(counted.begin(), counted.end(), [&](const gpu::Gpu* a, const gpu::Gpu* b) {
    return *(a->orders.*order) < *(b->orders.*order);
  });
  int next = 0;
  for (gpu::Gpu* each : counted) each->orders.*order = next++;
}

std::vector<gpu::Gpu> as_counted_inside(std::vector<gpu::Gpu> gpus) {
  for (const Order order :
       {&gpu::Orders::cuda, &gpu::Orders::cuda_fastest_first, &gpu::Orders::rocr, &gpu::Orders::hip,
        &gpu::Orders::level_zero, &gpu::Orders::level_zero_flat})
    renumber(gpus, order);
  return gpus;
}

std::string on_host(const std::string& root, const std::string& path) {
  return root == "/" || root.empty() ? path : root + path;
}

void add_nodes(const ExportInput& input, const gpu::Gpu& gpu, std::vector<Mount>& nodes) {
  for (const auto* list : {&gpu.device_nodes, &gpu.shared_nodes}) {
    for (const std::string& path : *list) {
      const auto same = [&](const Mount& each) { return each.target == path; };
      if (std::none_of(nodes.begin(), nodes.end(), same))
        nodes.push_back({on_host(input.root, path), path});
    }
  }
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

void add_files(const ExportInput& input, Exposure& exposure) {
  if (input.lease_file) {
    exposure.files.push_back({*input.lease_file, kLeaseFileInside});
    exposure.variables.emplace_back("GPUCTL_LEASE_FILE", kLeaseFileInside);
  }
  for (const std::string& path : input.libraries)
    exposure.files.push_back({path, std::string(kLibrariesInside) + "/" + file_name(path)});
  if (!input.libraries.empty())
    exposure.variables.emplace_back("LD_LIBRARY_PATH", kLibrariesInside);
}

}  // namespace

Exposure exposure_of(const ExportInput& input) {
  Exposure exposure;
  exposure.lease_id = input.lease_id;
  for (const gpu::Gpu& each : input.assigned) {
    exposure.gpu_ids.push_back(each.id);
    add_nodes(input, each, exposure.nodes);
    if (each.device_nodes.empty())
      exposure.problems.push_back("the device nodes of `" + each.id + "` are not known");
  }
  const std::vector<gpu::Gpu> inside = as_counted_inside(input.assigned);
  exposure.variables = fence::mask_variables(inside, inside);
  add_files(input, exposure);
  return exposure;
}

}  // namespace gpuctl::expose
