// Passes over a job's processes. Whoever calls them decides when (the supervisor's loop, or finishing a dead job).
#pragma once

#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/kill/signaller.hpp"

namespace gpuctl::kill {

// A process that outlived its kill.
struct Survivor {
  pid_t pid = 0;
  std::string name;
  char state = '?';
  std::string wchan;  // where in the kernel it waits, where that may be read
};

// What a kill did and how sure it is. `proof` is "pid_namespace", "subreaper", "identities" (weak) or empty.
struct Report {
  std::string method;
  std::string proof;
  std::size_t signalled = 0;
  std::size_t killed = 0;
  std::vector<Survivor> survivors;
  std::vector<Refusal> refused;
  unsigned rounds = 0;
  Usec elapsed_usec = 0;
};

// `signal` and CONT to each member that has not had `signal` yet, in the order given (parents first: a
// supervisor killed last would start its workers again). CONT follows so that a stopped process can act on it.
void ask_to_end(Signaller& signaller, const std::vector<proc::Stat>& members, int signal);

// KILL to each member that is not dead.
void kill_now(Signaller& signaller, const std::vector<proc::Stat>& members);

// The wait before round `round` (from 0): 0, 20 ms, 40 ms, … at most 1 s.
Usec round_delay(unsigned round);

std::vector<Survivor> describe_survivors(const HostFs& fs, const std::vector<proc::Stat>& members);

}  // namespace gpuctl::kill
