// Taken: what a request cannot get now, and why: what is leased, what is promised to those who came before, and what
// somebody with another ledger has locked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "choice.hpp"
#include "core.hpp"

namespace gpuctl::lease::internal {

// The request's own place among those who wait: later tickets are promised nothing before it.
struct Turn {
  std::size_t slot = 0;
  std::uint64_t ticket = 0;
};

class Taken {
 public:
  Taken() = default;

  // `turn`: nullopt for one that does not wait yet, all the others came before it.
  Taken(const Core& core, const Book& book, const std::vector<gpu::Gpu>& node,
        const std::optional<Turn>& turn);

  void add(const Unit& unit, const std::string& why);

  const std::vector<Unit>& units() const { return units_; }

  // nullptr: it is free.
  const std::string* why(const std::string& unit_id) const;

 private:
  void promise(const Stored& waiting, const std::vector<gpu::Gpu>& node);

  std::vector<Unit> units_;
  std::map<std::string, std::string> why_;
};

std::string count_of_gpus(std::size_t count);  // "1 GPU", "2 GPUs"

// ErrorCode::unavailable: how many were wanted, fit and are free, and for each other one why it cannot be had.
Error shortage(std::size_t wanted, const Choice& choice, const Taken& taken);

}  // namespace gpuctl::lease::internal
