// Problem: something that could not be read or understood. It is data beside the answer, never instead of it.
#pragma once

#include <optional>
#include <string>

#include "gpuctl/base/result.hpp"

namespace gpuctl::gpu {

struct Problem {
  std::optional<std::string> pci_address;  // of the device concerned
  Error error;                             // its path says which file
};

}  // namespace gpuctl::gpu
