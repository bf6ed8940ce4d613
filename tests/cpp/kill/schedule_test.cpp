#include "gpuctl/kill/schedule.hpp"

#include <doctest/doctest.h>

using namespace gpuctl;
using kill::Schedule;

TEST_CASE("rounds come slower and never stop coming") {
  CHECK(kill::round_delay(0) == 0);
  for (unsigned round = 1; round < 200; ++round)
    CHECK(kill::round_delay(round) >= kill::round_delay(round - 1));
  CHECK(kill::round_delay(4'000'000'000U) == kUsecPerSec);
}

// Clocks that jump (suspended machines, steps of the wall clock) do not matter: it is told the monotonic time only.
TEST_CASE("the deadline is kept for every grace there is") {
  for (const Usec grace : {Usec{0}, kUsecPerSec, 60 * kUsecPerSec, kill::kMaxGrace}) {
    CAPTURE(grace);
    Schedule schedule;
    schedule.begin(SIGTERM, grace, 1000);
    schedule.advance(1000 + grace - 1);
    CHECK((schedule.stage() == Schedule::Stage::asked || grace == 0));
    for (int late = 0; late < 50; ++late) schedule.count_round(1000);  // rounds move nothing
    schedule.advance(1000 + grace);
    CHECK(schedule.stage() == Schedule::Stage::forced);
  }
}

TEST_CASE("giving up is for good") {
  Schedule schedule;
  schedule.begin(SIGTERM, 0, 0);
  schedule.advance(0);
  schedule.give_up();
  schedule.begin(SIGTERM, 0, 1);
  schedule.advance(2);
  CHECK(schedule.stage() == Schedule::Stage::given_up);
  CHECK_FALSE(schedule.next_look(3));
}
