// Schedule: when a target is asked to end and when it is forced to. The clockwork alone: no process is touched here.
//
//   running --begin()--> asked: the first signal, then CONT; later TERM where the first one was INT
//           --deadline-> forced: KILL in rounds until nothing is left, at most kForcedLimit
//
// The deadline is absolute on CLOCK_MONOTONIC: children born meanwhile do not move it. A second request never
// prolongs it; it can only bring the deadline nearer.
#pragma once

#include <csignal>
#include <optional>

#include "gpuctl/base/clock.hpp"

namespace gpuctl::kill {

inline constexpr Usec kForcedLimit =
    60 * kUsecPerSec;  // after that what lives is named as a survivor
inline constexpr Usec kMaxGrace = 600 * kUsecPerSec;

class Schedule {
 public:
  enum class Stage { running, asked, forced, given_up };

  Stage stage() const { return stage_; }
  bool has_begun() const { return stage_ != Stage::running; }
  Usec began_at() const { return began_at_; }
  Usec deadline() const { return force_at_; }

  // `grace` until the force; `first_signal` INT is followed by TERM after half of it, at most 5 s.
  void begin(int first_signal, Usec grace, Usec now);

  // A person pressed Ctrl-C again: go to the next stage at once.
  void hurry(Usec now);

  // Moves on to the stage that `now` belongs to.
  void advance(Usec now);

  // More rounds would change nothing.
  void give_up() { stage_ = Stage::given_up; }

  // The signal that members must have by now (SIGINT, then SIGTERM); only in stage asked.
  int signal_due(Usec now) const;

  // When to look again, at the latest; nullopt while running.
  std::optional<Usec> next_look(Usec now) const;

  // Rounds of KILL; before the deadline, those of the first signals.
  unsigned rounds() const { return rounds_; }
  void count_round(Usec now);

 private:
  Stage stage_ = Stage::running;
  int first_signal_ = SIGTERM;
  Usec began_at_ = 0;
  Usec term_at_ = 0;
  Usec force_at_ = 0;
  Usec forced_at_ = 0;
  Usec next_round_at_ = 0;
  unsigned rounds_ = 0;
};

// The wait before round `round` (from 0): 0, 20 ms, 40 ms, … at most 1 s.
Usec round_delay(unsigned round);

}  // namespace gpuctl::kill
