#include "gpuctl/job/ending.hpp"

#include <doctest/doctest.h>

using namespace gpuctl;
using job::Ending;

namespace {

constexpr Usec kSecond = kUsecPerSec;

const job::KillReason* ttl() { return job::find_kill_reason("TTL"); }
const job::KillReason* killed() { return job::find_kill_reason("KILLED"); }

Ending begun(int signal, Usec grace, Usec now = 100 * kSecond) {
  Ending ending;
  ending.begin(killed(), "words", signal, grace, now);
  return ending;
}

}  // namespace

TEST_CASE("asked at once, forced at the deadline, given up at last") {
  Ending ending = begun(SIGTERM, 60 * kSecond);
  CHECK(ending.stage() == Ending::Stage::asked);
  CHECK(*ending.next_look(100 * kSecond) <= 100 * kSecond);
  CHECK(ending.signal_due(100 * kSecond) == SIGTERM);
  ending.advance(160 * kSecond - 1);
  CHECK(ending.stage() == Ending::Stage::asked);
  ending.advance(160 * kSecond);
  CHECK(ending.stage() == Ending::Stage::forced);
  ending.advance(160 * kSecond + kill::kForcedLimit - 1);
  CHECK(ending.stage() == Ending::Stage::forced);
  ending.advance(160 * kSecond + kill::kForcedLimit);
  CHECK(ending.stage() == Ending::Stage::given_up);
  CHECK_FALSE(ending.next_look(500 * kSecond));
}

TEST_CASE("no grace is force at once; the longest grace is kept to the microsecond") {
  Ending ending = begun(SIGTERM, 0);
  ending.advance(100 * kSecond);
  CHECK(ending.stage() == Ending::Stage::forced);
  CHECK(begun(SIGTERM, 600 * kSecond).deadline() == 700 * kSecond);
}

TEST_CASE("a second request shortens the time and keeps the reason") {
  Ending ending = begun(SIGTERM, 60 * kSecond);
  ending.begin(ttl(), "later", SIGTERM, 600 * kSecond, 101 * kSecond);
  CHECK(ending.deadline() == 160 * kSecond);
  ending.begin(ttl(), "later", SIGTERM, 5 * kSecond, 102 * kSecond);
  CHECK(ending.deadline() == 107 * kSecond);
  CHECK(ending.reason() == killed());
  CHECK(ending.detail() == "words");
}

TEST_CASE("what is left behind by a payload that ended has no reason until somebody has one") {
  Ending ending;
  ending.begin(nullptr, "", SIGTERM, 5 * kSecond, 0);
  CHECK(ending.has_begun());
  CHECK(ending.reason() == nullptr);
  ending.begin(killed(), "words", SIGTERM, 1 * kSecond, 1 * kSecond);
  CHECK(ending.reason() == killed());
  CHECK(ending.deadline() == 2 * kSecond);
}

TEST_CASE("INT first, then TERM; pressed again it goes on to the next at once") {
  Ending ending = begun(SIGINT, 60 * kSecond);
  CHECK(ending.signal_due(100 * kSecond) == SIGINT);
  CHECK(ending.signal_due(105 * kSecond) == SIGTERM);
  ending.hurry(101 * kSecond);
  CHECK(ending.signal_due(101 * kSecond) == SIGTERM);
  CHECK(ending.stage() == Ending::Stage::asked);
  ending.hurry(102 * kSecond);
  ending.advance(102 * kSecond);
  CHECK(ending.stage() == Ending::Stage::forced);
  CHECK(begun(SIGINT, 2 * kSecond).signal_due(101 * kSecond) == SIGTERM);  // half of a short grace
}

TEST_CASE("there is always a next look, and never one in the far past") {
  Ending ending = begun(SIGTERM, 60 * kSecond);
  Usec now = 100 * kSecond;
  for (int i = 0; i < 500 && ending.stage() != Ending::Stage::given_up; ++i) {
    const std::optional<Usec> look = ending.next_look(now);
    REQUIRE(look);
    now = std::max(now, *look);
    ending.advance(now);
    if (ending.stage() != Ending::Stage::given_up) ending.count_round(now);
  }
  CHECK(ending.stage() == Ending::Stage::given_up);
  CHECK(now == 160 * kSecond + kill::kForcedLimit);
}
