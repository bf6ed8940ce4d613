// Waiting: first come, first served, and a large request is not starved by small ones.
#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "gpuctl/lease/ledger.hpp"
#include "node.hpp"

using namespace gpuctl;
using namespace gpuctl::lease;
using test::TestNode;

namespace {

constexpr Usec kLong = 60 * kUsecPerSec;

Patience patient(Usec wait) {
  Patience patience;
  patience.wait = wait;
  return patience;
}

void await_waiting(Ledger& ledger, std::size_t count) {
  pollfd news{ledger.watch_fd(), POLLIN, 0};
  while (true) {
    const Result<View> view = ledger.view();
    REQUIRE(view);
    std::size_t waiting = 0;
    for (const Lease& each : view->leases) waiting += each.state == State::waiting ? 1 : 0;
    if (waiting == count) return;
    ::poll(&news, 1, 50);
    ledger.drain_watch();
  }
}

}  // namespace

TEST_CASE("a large request that came first is served before a small one") {
  TestNode node(2);
  Ledger ledger = std::move(*node.ledger());
  Result<Held> one = ledger.hold(TestNode::request(1), node.node(), {});
  Result<Held> two = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE(one);
  REQUIRE(two);

  std::atomic<int> turn{0};
  int large = 0;
  int small = 0;
  const auto want = [&](std::size_t count, int& mine) {
    return std::thread([&node, &turn, &mine, count] {
      Ledger own = std::move(*node.ledger());
      Result<Held> held = own.hold(TestNode::request(count), node.node(), patient(kLong));
      if (!held) return;
      mine = ++turn;
      static_cast<void>(held->release(test::proven()).has_value());
    });
  };
  std::thread first = want(2, large);
  await_waiting(ledger, 1);
  std::thread second = want(1, small);
  await_waiting(ledger, 2);
  REQUIRE(one->release(test::proven()));
  // One GPU is free now; it is promised to the large request, and a newcomer does not get it either.
  const Result<Held> newcomer = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE_FALSE(newcomer);
  CHECK(newcomer.error().detail.find("promised to a request that came earlier") !=
        std::string::npos);
  CHECK(turn == 0);
  REQUIRE(two->release(test::proven()));
  first.join();
  second.join();
  CHECK(large == 1);
  CHECK(small == 2);
  CHECK(ledger.view()->leases.empty());
}

TEST_CASE("a request that gives up leaves no trace in the queue") {
  TestNode node(1);
  Ledger ledger = std::move(*node.ledger());
  Result<Held> all = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE(all);
  Ledger other = std::move(*node.ledger());
  const Result<Held> late = other.hold(TestNode::request(1), node.node(), patient(1000));
  REQUIRE_FALSE(late);
  CHECK(late.error().code == ErrorCode::unavailable);
  CHECK(ledger.view()->leases.size() == 1);
}

TEST_CASE("what this node can never give is refused at once, however long one would wait") {
  TestNode node(2);
  Ledger ledger = std::move(*node.ledger());
  const Usec before = monotonic_usec();
  CHECK_FALSE(ledger.hold(TestNode::request(3), node.node(), patient(kLong)));
  CHECK(monotonic_usec() - before < kLong / 2);
}
