#include "gpuctl/kill/schedule.hpp"

#include <algorithm>

namespace gpuctl::kill {
namespace {

constexpr Usec kRepeatEvery = 5 * kUsecPerSec;    // processes born since get their TERM
constexpr Usec kInterruptLead = 5 * kUsecPerSec;  // how long INT may work before TERM follows

}  // namespace

void Schedule::begin(int first_signal, Usec grace, Usec now) {
  if (stage_ == Stage::running) {
    stage_ = Stage::asked;
    first_signal_ = first_signal;
    began_at_ = now;
    term_at_ = first_signal == SIGINT ? now + std::min(kInterruptLead, grace / 2) : now;
    force_at_ = now + grace;
    next_round_at_ = now;
    return;
  }
  force_at_ = std::min(force_at_, now + grace);
  term_at_ = std::min(term_at_, now);
  if (stage_ == Stage::asked) next_round_at_ = now;
}

void Schedule::hurry(Usec now) {
  if (stage_ != Stage::asked) return;
  if (now < term_at_) {
    term_at_ = now;
  } else {
    force_at_ = now;
  }
  next_round_at_ = now;
}

void Schedule::advance(Usec now) {
  if (stage_ == Stage::asked && now >= force_at_) {
    stage_ = Stage::forced;
    forced_at_ = now;
    rounds_ = 0;
    next_round_at_ = now;
  }
  if (stage_ == Stage::forced && now >= forced_at_ + kForcedLimit) stage_ = Stage::given_up;
}

int Schedule::signal_due(Usec now) const { return now < term_at_ ? first_signal_ : SIGTERM; }

std::optional<Usec> Schedule::next_look(Usec now) const {
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

void Schedule::count_round(Usec now) {
  ++rounds_;
  next_round_at_ = now + (stage_ == Stage::forced ? round_delay(rounds_) : kRepeatEvery);
}

Usec round_delay(unsigned round) {
  constexpr Usec kStep = 20'000;
  return std::min<Usec>(kUsecPerSec, kStep * std::min(round, 50U));
}

}  // namespace gpuctl::kill
