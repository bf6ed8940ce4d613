// Which of the free units a request gets.
#include "../../../cpp/lease/choice.hpp"

#include <doctest/doctest.h>

#include "gpuctl/base/parse.hpp"
#include "node.hpp"

using namespace gpuctl;
using namespace gpuctl::lease;
using internal::choose;
using test::TestNode;

namespace {

std::string chosen(const Request& request, TestNode& node, const std::string& taken = "") {
  std::vector<Unit> units;
  for (const char number : taken)
    units.push_back(unit_of(node.gpus()[static_cast<std::size_t>(number - '0')]));
  std::vector<Unit> got;
  for (const gpu::Gpu* each : choose(request, node.gpus(), units, {}).chosen)
    got.push_back(unit_of(*each));
  return TestNode::numbers(got);
}

// "01 23:4 …": 0 and 1 are linked, 2 and 3 with 4 GB/s. The others are known to have no link.
void link(TestNode& node, const std::string& words) {
  for (gpu::Gpu& each : node.gpus()) each.links.emplace();
  for (const std::string_view word : split(words, ' ')) {
    gpu::Gpu& a = node.gpus()[static_cast<std::size_t>(word[0] - '0')];
    gpu::Gpu& b = node.gpus()[static_cast<std::size_t>(word[1] - '0')];
    gpu::Link way{b.id, "xgmi", 1, std::nullopt};
    if (word.size() > 3) way.bandwidth_bytes_per_s = 1'000'000'000ULL * unsigned(word[3] - '0');
    a.links->push_back(way);
    way.id = a.id;
    b.links->push_back(way);
  }
}

// As in an HPE EX235a with four MI250X.
constexpr const char* kMi250 = "01:4 23:4 45:4 67:4 06:2 24:2 02:1 13:1 15:1 37:1 46:1 57:1";

}  // namespace

TEST_CASE("a pair that is linked goes to a request of two, and is not parted for one") {
  TestNode node(8);
  link(node, "12 56");
  CHECK(chosen(TestNode::request(1), node) == "0");
  CHECK(chosen(TestNode::request(2), node) == "12");
  CHECK(chosen(TestNode::request(2), node, "1") == "56");
  CHECK(chosen(TestNode::request(2), node, "15") == "02");    // no pair is left: as without links
  CHECK(chosen(TestNode::request(1), node, "0347") == "1");   // there is nothing else
  CHECK(chosen(TestNode::request(1), node, "03471") == "2");  // its partner is gone
}

TEST_CASE("each linked to each, or none") {
  TestNode node(8);
  link(node, "01 12 23 45 46 56");
  Request request = TestNode::request(3);
  request.together = Together::link;
  CHECK(chosen(request, node) == "456");  // 0 to 3 are a chain
  CHECK(chosen(request, node, "5").empty());
  CHECK(choose(request, node.gpus(), {}, {}).possible);
  request.wish.count = 2;
  CHECK(chosen(request, node, "456") == "01");
  request.wish.count = 4;
  CHECK_FALSE(choose(request, node.gpus(), {}, {}).possible);
  request.wish.count = 1;
  CHECK(chosen(request, node) == "7");
  // One that waits collects the set of which most is free.
  request.wish.count = 2;
  const auto taken = {unit_of(node.gpus()[0]), unit_of(node.gpus()[2]), unit_of(node.gpus()[4]),
                      unit_of(node.gpus()[5])};
  const auto candidates = choose(request, node.gpus(), taken, {}).candidates;
  CHECK(candidates.front() == node.gpus()[0].id);
  CHECK(candidates[1] == node.gpus()[1].id);
}

TEST_CASE("what nothing tells of is no link") {
  TestNode node(2);
  Request request = TestNode::request(2);
  request.together = Together::link;
  const internal::Choice choice = choose(request, node.gpus(), {}, {});
  CHECK_FALSE(choice.possible);
  CHECK(choice.rejected.front().second == "which GPUs it is linked to is not known");
  request.wish.count = 1;
  CHECK(chosen(request, node) == "0");
}

TEST_CASE("the strongest links stay together") {
  TestNode node(8);
  link(node, kMi250);
  CHECK(chosen(TestNode::request(2), node) == "01");
  CHECK(chosen(TestNode::request(2), node, "0") == "67");  // which leaves the others best linked
  CHECK(chosen(TestNode::request(1), node, "0") == "1");   // its package is broken already
  CHECK(chosen(TestNode::request(4), node) == "0123");
  CHECK(chosen(TestNode::request(4), node, "0") == "4567");
  Request request = TestNode::request(2);
  request.together = Together::link;
  CHECK(chosen(request, node, "0257") == "13");
  request.wish.count = 3;
  CHECK_FALSE(choose(request, node.gpus(), {}, {}).possible);
  node.gpus()[4].links->front().hops = 2;                       // 45
  CHECK(chosen(TestNode::request(2), node, "012367") == "45");  // all that is left, linked or not
}

TEST_CASE("a single does not break a free group when a smaller one is there") {
  TestNode node(8);  // 0 to 3 on NUMA node 0, 4 to 7 on 1
  CHECK(chosen(TestNode::request(1), node) == "0");
  CHECK(chosen(TestNode::request(1), node, "4") == "5");
  CHECK(chosen(TestNode::request(2), node, "012") == "45");
  CHECK(chosen(TestNode::request(4), node, "0") == "4567");
  CHECK(chosen(TestNode::request(6), node) == "012345");
  CHECK(chosen(TestNode::request(8), node, "0").empty());
}

TEST_CASE("all on one NUMA node, or none") {
  TestNode node(8);
  Request request = TestNode::request(4);
  request.together = Together::numa_node;
  CHECK(chosen(request, node, "0") == "4567");
  CHECK(chosen(request, node, "04").empty());
  CHECK(choose(request, node.gpus(), {}, {}).possible);
  request.wish.count = 5;
  CHECK_FALSE(choose(request, node.gpus(), {}, {}).possible);
  // One that waits collects where most is free.
  request.wish.count = 4;
  const auto taken = {unit_of(node.gpus()[0]), unit_of(node.gpus()[1]), unit_of(node.gpus()[4])};
  CHECK(choose(request, node.gpus(), taken, {}).candidates.front() == node.gpus()[4].id);
}

TEST_CASE("near the slot's CPUs, healthy and idle ones first") {
  TestNode node(8);
  Request request = TestNode::request(1);
  request.near_numa_node = 1;
  CHECK(chosen(request, node) == "4");
  node.gpus()[4].health.state = gpu::HealthState::degraded;
  CHECK(chosen(request, node) == "5");
  node.gpus()[5].busy_by.push_back({4711, 1000, "stranger", false, {"/dev/nvidia5"}});
  CHECK(chosen(request, node) == "6");
}

TEST_CASE("ids that are named or excluded") {
  TestNode node(4);
  Request request = TestNode::request(1);
  request.only = {TestNode::address(2)};
  CHECK(chosen(request, node) == "2");
  CHECK(chosen(request, node, "2").empty());
  request = TestNode::request(1);
  request.exclude = {TestNode::address(0), TestNode::address(1)};
  CHECK(chosen(request, node) == "2");
}

TEST_CASE("parent and part exclude each other") {
  TestNode node(2);
  gpu::Gpu part = node.gpus()[0];
  part.parent_id = part.id;
  part.id += ".mig-gi7-ci0";
  part.kind = gpu::GpuKind::partition;
  gpu::Gpu sibling = part;
  sibling.id.back() = '1';
  CHECK(overlap(unit_of(part), unit_of(node.gpus()[0])));
  CHECK_FALSE(overlap(unit_of(part), unit_of(sibling)));
  node.gpus().push_back(part);
  node.gpus().push_back(sibling);
  const internal::Choice choice = choose(TestNode::request(3), node.gpus(), {}, {});
  REQUIRE(choice.chosen.size() == 3);
  CHECK(choice.rejected.front().second.find("divided into partitions") != std::string::npos);
}

TEST_CASE("a drained unit is no candidate, one that is only talked about is") {
  TestNode node(2);
  Drain drain;
  drain.unit_id = TestNode::address(0);
  drain.reason = "ECC";
  CHECK(TestNode::numbers({unit_of(
            *choose(TestNode::request(1), node.gpus(), {}, {drain}).chosen.front())}) == "1");
  drain.level = DrainLevel::inform;
  CHECK(TestNode::numbers({unit_of(
            *choose(TestNode::request(1), node.gpus(), {}, {drain}).chosen.front())}) == "0");
}
