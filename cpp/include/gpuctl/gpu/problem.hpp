// Problem: something that could not be read or understood. It is data beside the answer, never
// instead of it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gpuctl/base/result.hpp"

namespace gpuctl::gpu {

struct Problem {
  std::optional<std::string> pci_address;  // of the device concerned
  Error error;                             // its path says which file
};

// Collects the problems of one device. A device that left while it was read (`vanished`) is no
// problem.
class ProblemSink {
 public:
  explicit ProblemSink(std::vector<Problem>& problems) : problems_(problems) {}
  ProblemSink(std::vector<Problem>& problems, std::string pci_address)
      : problems_(problems), pci_address_(std::move(pci_address)) {}

  void add(Error error) {
    if (error.code == ErrorCode::vanished) return;
    problems_.push_back({pci_address_, std::move(error)});
    ++count_;
  }

  int count() const { return count_; }

 private:
  std::vector<Problem>& problems_;
  std::optional<std::string> pci_address_;
  int count_ = 0;
};

}  // namespace gpuctl::gpu
