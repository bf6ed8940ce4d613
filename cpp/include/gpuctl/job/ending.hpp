// Ending: when a job is asked to end and when it is forced to. The clockwork alone: no process is touched here.
//
//   running --begin()--> asked: the first signal, then CONT; later TERM where the first one was INT
//           --deadline-> forced: KILL in rounds until nothing is left, at most kForcedLimit
//
// The deadline is absolute on CLOCK_MONOTONIC: children born meanwhile do not move it. A second request never
// prolongs it and never changes the reason; it can only bring the deadline nearer.
#pragma once

#include <csignal>
#include <optional>
#include <string>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/job/kill_reason.hpp"

namespace gpuctl::job {

inline constexpr Usec kForcedLimit =
    60 * kUsecPerSec;  // after that what lives is named as a survivor

class Ending {
 public:
  enum class Stage { running, asked, forced, given_up };

  Stage stage() const { return stage_; }
  bool has_begun() const { return stage_ != Stage::running; }

  // nullptr: the payload ended by itself and only what it left behind is ended.
  const KillReason* reason() const { return reason_; }
  const std::string& detail() const { return detail_; }
  Usec began_at() const { return began_at_; }
  Usec deadline() const { return force_at_; }

  void begin(const KillReason* reason, std::string detail, int first_signal, Usec grace, Usec now);

  // A person pressed Ctrl-C again: go to the next stage at once.
  void hurry(Usec now);

  // Moves on to the stage that `now` belongs to.
  void advance(Usec now);

  // The signal that members must have by now (SIGINT, then SIGTERM); only in stage asked.
  int signal_due(Usec now) const;

  // When to look again, at the latest; nullopt while running.
  std::optional<Usec> next_look(Usec now) const;

  unsigned rounds() const { return rounds_; }
  void count_round(Usec now);

 private:
  Stage stage_ = Stage::running;
  const KillReason* reason_ = nullptr;
  std::string detail_;
  int first_signal_ = SIGTERM;
  Usec began_at_ = 0;
  Usec term_at_ = 0;
  Usec force_at_ = 0;
  Usec forced_at_ = 0;
  Usec next_round_at_ = 0;
  unsigned rounds_ = 0;
};

}  // namespace gpuctl::job
