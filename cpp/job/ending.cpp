#include "gpuctl/job/ending.hpp"

#include <algorithm>

#include "gpuctl/kill/sweep.hpp"

namespace gpuctl::job {
namespace {

constexpr Usec kRepeatEvery = 5 * kUsecPerSec;    // processes born since get their TERM
constexpr Usec kInterruptLead = 5 * kUsecPerSec;  // how long INT may work before TERM follows

}  // namespace

void Ending::begin(const KillReason* reason, std::string detail, int first_signal, Usec grace,
                   Usec now) {
  if (stage_ == Stage::running) {
    stage_ = Stage::asked;
    reason_ = reason;
    detail_ = std::move(detail);
    first_signal_ = first_signal;
    began_at_ = now;
    term_at_ = first_signal == SIGINT ? now + std::min(kInterruptLead, grace / 2) : now;
    force_at_ = now + grace;
    next_round_at_ = now;
    return;
  }
  // What the payload left behind was being ended; now somebody wants an end for a reason.
  if (reason_ == nullptr && reason != nullptr) {
    reason_ = reason;
    detail_ = std::move(detail);
  }
  force_at_ = std::min(force_at_, now + grace);
  term_at_ = std::min(term_at_, now);
  if (stage_ == Stage::asked) next_round_at_ = now;
}

void Ending::hurry(Usec now) {
  if (stage_ != Stage::asked) return;
  if (now < term_at_) {
    term_at_ = now;
  } else {
    force_at_ = now;
  }
  next_round_at_ = now;
}

void Ending::advance(Usec now) {
  if (stage_ == Stage::asked && now >= force_at_) {
    stage_ = Stage::forced;
    forced_at_ = now;
    rounds_ = 0;
    next_round_at_ = now;
  }
  if (stage_ == Stage::forced && now >= forced_at_ + kForcedLimit) stage_ = Stage::given_up;
}

int Ending::signal_due(Usec now) const { return now < term_at_ ? first_signal_ : SIGTERM; }

std::optional<Usec> Ending::next_look(Usec now) const {
  switch (stage_) {
    case Stage::running:
    case Stage::given_up: return std::nullopt;
    case Stage::asked: {
      const Usec next = std::min(next_round_at_, force_at_);
      return now < term_at_ ? std::min(next, term_at_) : next;
    }
    case Stage::forced: return std::min(next_round_at_, forced_at_ + kForcedLimit);
  }
  return std::nullopt;
}

void Ending::count_round(Usec now) {
  ++rounds_;
  next_round_at_ = now + (stage_ == Stage::forced ? kill::round_delay(rounds_) : kRepeatEvery);
}

}  // namespace gpuctl::job
