// SlotEnv: what the batch system told a job by its environment. A value: this room never reads the environment itself.
//
//   SlotEnv env = SlotEnv::from(context.environment.entries);   // ours
//   SlotEnv env = read_slot_env(fs, pid);                       // another process's, where that may be read
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::cgroup {

class SlotEnv {
 public:
  SlotEnv() = default;

  // Entries are NAME=value; only those of Slurm and HTCondor are kept.
  static SlotEnv from(const std::vector<std::string>& entries);

  std::optional<std::string> find(const std::string& name) const;

  // Digits only; nullopt for anything else.
  std::optional<std::uint64_t> number(const std::string& name) const;

 private:
  std::map<std::string, std::string> values_;
};

// As the process was started with; empty where it may not be read.
SlotEnv read_slot_env(const HostFs& fs, pid_t pid);

}  // namespace gpuctl::cgroup
