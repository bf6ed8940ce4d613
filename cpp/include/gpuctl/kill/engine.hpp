// Engine: ends a target. The one kill of gpuctl: the supervisor steps it in its own loop, `gpuctl kill` and the
// finishing of dead jobs run it to its end.
//
//   ask     `signal` and CONT, once for each process, parents first: a supervisor killed last would start its workers
//           again. Spared processes are left alone.
//   force   first the one step that no fork escapes, where the target has one; then KILL to each member, at most
//           kMostKills times. Nobody is spared.
//
//   Signaller signaller(fs, root.start_ticks);
//   PidTree tree(fs, std::move(handle), root);
//   Engine engine(fs, signaller, tree);
//   Schedule schedule;
//   schedule.begin(SIGTERM, grace, monotonic_usec());
//   Report report = run_to_end(engine, schedule);      // blocks for `grace` + kForcedLimit at the most
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gpuctl/kill/report.hpp"
#include "gpuctl/kill/schedule.hpp"
#include "gpuctl/kill/signaller.hpp"
#include "gpuctl/kill/target.hpp"

namespace gpuctl::kill {

inline constexpr unsigned kMostKills = 8;  // for one process; a KILL that is pending needs no other

// Who is kept out of the asking: one process, or all that carry an entry in their environment.
struct Spared {
  std::optional<pid_t> pid;
  std::string entry;  // NAME=value
};

// "1234" or "NAME=value"; ErrorCode::usage for anything else.
Result<Spared> parse_spared(const std::string& text);

class Engine {
 public:
  // All of them outlive the Engine.
  Engine(const HostFs& fs, Signaller& signaller, Target& target, std::vector<Spared> spared = {});

  void spare(std::vector<Spared> more);

  // True while somebody is there to be asked or waited for.
  bool ask(int signal);

  // One round. False: another one would change nothing, since everybody left was refused, or had all
  // its KILLs and did not move for long.
  bool force();

  // After the last round; `schedule` tells how long it took.
  Report report(const Schedule& schedule);

  Target& target() { return target_; }

 private:
  using Crowd = std::set<Signaller::Key>;

  bool is_spared(const proc::Stat& member) const;
  bool moves(const std::vector<proc::Stat>& members, Usec now);

  const HostFs& fs_;
  Signaller& signaller_;
  Target& target_;
  std::vector<Spared> spared_;
  std::optional<Usec> forced_at_;
  bool ended_at_once_ = false;
  Crowd last_crowd_;
  Usec moved_at_ = 0;
};

// Steps `engine` until the target's proof, or until it is given up. `schedule` has begun.
Report run_to_end(Engine& engine, Schedule& schedule);

}  // namespace gpuctl::kill
