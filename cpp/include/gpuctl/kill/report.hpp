// What a kill did and how sure it is.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/json_fwd.hpp"
#include "gpuctl/kill/signaller.hpp"

namespace gpuctl::kill {

// A process that outlived its kill.
struct Survivor {
  pid_t pid = 0;
  std::string name;
  char state = '?';
  std::string wchan;                   // where in the kernel it waits, where that may be read
  std::optional<std::string> syscall;  // the number of the system call that it is in
  std::optional<std::string> cgroup;   // in the v2 hierarchy
};

struct Report {
  std::string method;  // "pid_namespace", "walk", "cgroup.kill", "cgroup.freeze", "records", ...
  std::string proof;   // "cgroup", "pid_namespace", "subreaper", "identities" (weak); empty: none
  std::size_t signalled = 0;  // processes that were asked (TERM or INT)
  std::size_t killed = 0;     // processes that got KILL
  std::vector<Survivor> survivors;
  std::vector<Refusal> refused;
  std::size_t unreaped =
      0;  // zombies of the job's own parents, the most at once: see Target::unreaped
  unsigned rounds = 0;
  Usec elapsed_usec = 0;
};

std::vector<Survivor> describe_survivors(const HostFs& fs, const std::vector<proc::Stat>& members);

Json to_json(const Report& report);

}  // namespace gpuctl::kill
