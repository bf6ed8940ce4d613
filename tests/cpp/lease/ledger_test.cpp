#include "gpuctl/lease/ledger.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "node.hpp"

using namespace gpuctl;
using namespace gpuctl::lease;
using test::TestNode;

TEST_CASE("a GPU is given once and comes back") {
  TestNode node(2);
  Ledger one = std::move(*node.ledger());
  Ledger two = std::move(*node.ledger());

  Result<Held> first = one.hold(TestNode::request(1), node.node(), {});
  REQUIRE(first);
  Result<Held> second = two.hold(TestNode::request(1), node.node(), {});
  REQUIRE(second);
  CHECK(TestNode::numbers(first->lease().units) == "0");
  CHECK(TestNode::numbers(second->lease().units) == "1");

  const Result<Held> third = one.hold(TestNode::request(1), node.node(), {});
  REQUIRE_FALSE(third);
  CHECK(third.error().code == ErrorCode::unavailable);
  CHECK(third.error().detail.find("1 GPU wanted, 2 fit, 0 of them free") != std::string::npos);

  const Result<Release> released = first->release(test::proven());
  REQUIRE(released);
  CHECK(released->gone);
  Result<Held> again = two.hold(TestNode::request(1), node.node(), {});
  REQUIRE(again);
  CHECK(TestNode::numbers(again->lease().units) == "0");
}

TEST_CASE("a listing that is kept is not believed once another has drained, or drained anew") {
  TestNode node(2);
  Ledger one = std::move(*node.ledger());
  Ledger two = std::move(*node.ledger());
  const auto gets = [&] {
    Result<Held> held = one.hold(TestNode::request(1), node.node(), {});
    const std::string numbers = held ? TestNode::numbers(held->lease().units) : "none";
    if (held) CHECK(held->release(test::proven()));
    return numbers;
  };
  const auto drain = [&](unsigned number) {
    DrainOrder order;
    order.unit_id = TestNode::address(number);
    order.reason = "fan";
    REQUIRE(two.drain(order));
  };
  for (const Usec still : {0, 500, 1'500, 3'000, 5'000, 11'000, 200'000}) {
    CHECK(gets() == "0");
    ::usleep(static_cast<useconds_t>(still));
    CHECK(gets() == "0");
    drain(0);
    CHECK(gets() == "1");
    ::usleep(static_cast<useconds_t>(still));
    CHECK(gets() == "1");
    drain(1);
    CHECK(gets() == "none");
    for (const unsigned number : {0U, 1U})
      REQUIRE(two.undrain(TestNode::address(number), "mended", true));
  }
}

TEST_CASE("what was published of a lease goes with it, whoever wrote the record since") {
  TestNode node(1);
  Ledger one = std::move(*node.ledger());
  Ledger two = std::move(*node.ledger());
  Result<Held> held = one.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  const Lease lease = held->lease();
  const Result<std::string> file = two.publish(lease, node.gpus(), "lease");
  REQUIRE(file);
  CHECK(std::filesystem::exists(*file));
  REQUIRE(held->note_payload(Payload()));
  REQUIRE(held->release(test::proven()));
  CHECK(std::filesystem::is_empty(std::filesystem::path(*file).parent_path().parent_path()));

  const Result<std::string> late = two.publish(lease, node.gpus(), "lease");
  REQUIRE_FALSE(late);
  CHECK(late.error().code == ErrorCode::not_found);
}

TEST_CASE("all units of a request or none") {
  TestNode node(4);
  Ledger ledger = std::move(*node.ledger());
  Result<Held> three = ledger.hold(TestNode::request(3), node.node(), {});
  REQUIRE(three);
  CHECK_FALSE(ledger.hold(TestNode::request(2), node.node(), {}));
  Result<Held> last = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE(last);
  CHECK(TestNode::numbers(last->lease().units) == "3");
}

TEST_CASE("a lease whose holder is gone is taken back by the next who needs it") {
  TestNode node(1);
  Ledger ledger = std::move(*node.ledger());
  {
    Result<Held> dropped = ledger.hold(TestNode::request(1), node.node(), {});
    REQUIRE(dropped);
  }
  Result<View> before = ledger.view();
  REQUIRE(before);
  REQUIRE(before->leases.size() == 1);
  CHECK_FALSE(before->leases[0].holder_alive);
  Result<Held> held = ledger.hold(TestNode::request(1), node.node(), {});
  CHECK(held);
}

TEST_CASE("a unit whose node a process of the job holds stays releasing") {
  TestNode node(1);
  Ledger ledger = std::move(*node.ledger());
  Result<Held> held = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  Proof proof;
  proof.blockers.push_back({4711, "villain", "holds /dev/nvidia0"});
  const Result<Release> kept = held->release(proof);
  REQUIRE(kept);
  CHECK_FALSE(kept->gone);
  const Result<View> view = ledger.view();
  REQUIRE(view->leases.size() == 1);
  CHECK(view->leases[0].state == State::releasing);
  // Nobody holds anything here any more, so that the next look proves it.
  REQUIRE(ledger.repair());
  CHECK(ledger.view()->leases.empty());
}

TEST_CASE("a recorded lease lives as long as its owner") {
  TestNode node(1);
  Ledger ledger = std::move(*node.ledger());
  Result<Lease> own =
      ledger.record(TestNode::request(1), node.node(), {}, Owner{::getpid(), std::nullopt});
  REQUIRE(own);
  CHECK_FALSE(ledger.hold(TestNode::request(1), node.node(), {}));
  const Result<Release> released = ledger.release(own->id);
  REQUIRE(released);
  CHECK(released->gone);

  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  REQUIRE(ledger.record(TestNode::request(1), node.node(), {}, Owner{child, std::nullopt}));
  CHECK_FALSE(ledger.hold(TestNode::request(1), node.node(), {}));
  ::kill(child, SIGKILL);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(ledger.hold(TestNode::request(1), node.node(), {}));
}

TEST_CASE("what ran in a pid namespace that we do not see stays taken") {
  TestNode node(1);
  Ledger ledger = std::move(*node.ledger());
  Lease elsewhere;
  elsewhere.holder.pid_namespace = 4711;
  const Proof proof = ledger.prove(elsewhere);
  const bool initial = proc::read_namespace(*HostFs::open("/"), ::getpid(), "pid").value_or(0U) ==
                       proc::kInitialPidNamespace;
  CHECK(proof.empty == initial);
  CHECK(proof.unknown.has_value() == !initial);
}
