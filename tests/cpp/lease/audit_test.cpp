// The audit log when it is full: put aside by one of several writers, whatever dies meanwhile, and never without the lines
// of leases that still live.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>

#include "../../../cpp/lease/steps.hpp"
#include "node.hpp"

using namespace gpuctl;
using namespace gpuctl::lease;
using test::TestNode;

namespace {

constexpr int kFillers = 8000;

// More than a mebibyte of lines as they are, of leases that nobody has any more.
void fill(const TestNode& node) {
  std::ofstream log(node.ledger_path("audit." + std::to_string(::geteuid()) + ".jsonl"),
                    std::ios::app);
  for (int i = 0; i < kFillers; ++i) {
    log << R"({"at": "2026-11-29T17:00:00.000Z", "boot_usec": 1, "event": "released", "uid": 0, )"
        << R"("pid": 1, "lease": "filler", "units": ["0000:01:00.0"], "reason": "to fill it"})"
        << "\n";
  }
}

std::ptrdiff_t lines_with(const Ledger& ledger, const std::string& words) {
  const Result<std::vector<std::string>> lines = ledger.history();
  REQUIRE(lines);
  return std::count_if(lines->begin(), lines->end(), [&](const std::string& line) {
    return line.find(words) != std::string::npos;
  });
}

void come_and_go(Ledger& ledger, const TestNode& node) {
  Result<Held> held = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  REQUIRE(held->release(test::proven())->gone);
}

std::string granted_line(const Lease& lease) {
  return R"("granted", "uid": )" + std::to_string(lease.uid) + R"(, "pid": )" +
         std::to_string(::getpid()) + R"(, "lease": ")" + lease.id;
}

const char* point_to_die_at = nullptr;

void die_there(const char* point) {
  if (std::string(point) == point_to_die_at) ::raise(SIGKILL);
}

void die_at(const TestNode& node, const char* point) {
  const pid_t child = ::fork();
  if (child == 0) {
    Result<Ledger> ledger = node.ledger();
    point_to_die_at = point;
    internal::step_hook = die_there;
    if (ledger) static_cast<void>(ledger->hold(TestNode::request(1), node.node(), {}).has_value());
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

}  // namespace

TEST_CASE("a full log is put aside once, though several have it open") {
  TestNode node(2);
  Ledger one = std::move(*node.ledger());
  Ledger two = std::move(*node.ledger());
  Ledger three = std::move(*node.ledger());
  for (Ledger* each : {&one, &two, &three}) come_and_go(*each, node);
  fill(node);
  for (Ledger* each : {&one, &two, &three}) come_and_go(*each, node);
  CHECK(lines_with(one, "to fill it") == kFillers);
  CHECK(lines_with(one, "\"granted\"") == 6);
  CHECK(lines_with(one, "\"released\"") == kFillers + 6);
}

TEST_CASE("the lines of a live lease outlast the log they were in") {
  TestNode node(2);
  Ledger ledger = std::move(*node.ledger());
  Result<Held> held = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  const std::string granted = granted_line(held->lease());
  for (int i = 0; i < 4; ++i) {
    fill(node);
    come_and_go(ledger, node);
    CHECK(lines_with(ledger, granted) == 1);
    CHECK(lines_with(ledger, "to fill it") <= 2 * kFillers);
  }
  REQUIRE(held->release(test::proven())->gone);
  for (int i = 0; i < 3; ++i) {
    fill(node);
    come_and_go(ledger, node);
  }
  CHECK(lines_with(ledger, granted) == 0);  // what is over is forgotten in the end
}

TEST_CASE("killed while it puts the log aside") {
  for (const char* point : {"audit next", "audit aside", "audit anew"}) {
    CAPTURE(point);
    TestNode node(2);
    Ledger ledger = std::move(*node.ledger());
    Result<Held> held = ledger.hold(TestNode::request(1), node.node(), {});
    REQUIRE(held);
    const std::string granted = granted_line(held->lease());
    fill(node);
    come_and_go(ledger,
                node);  // the grant is in the file that is put aside next, and forgotten after that
    fill(node);
    die_at(node, point);
    CHECK(lines_with(ledger, granted) == 1);
    CHECK(lines_with(ledger, "to fill it") >= kFillers);
    come_and_go(ledger, node);
    CHECK(lines_with(ledger, granted) == 1);
    CHECK(lines_with(ledger, "to fill it") == kFillers);
  }
}
