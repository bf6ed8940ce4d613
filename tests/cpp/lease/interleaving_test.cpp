// Two competitors for one GPU, driven step by step through every lock and write of the real code, in every order of their
// critical sections, one of them killed at every point: no double grant, no leak.
//
// Within a critical section the other can do nothing but find the ledger busy, which is checked at each point; so the
// orders of whole sections, with a crash anywhere, are all that there is.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "../../../cpp/lease/steps.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "node.hpp"

using namespace gpuctl;
using namespace gpuctl::lease;
using test::TestNode;

namespace {

int step_channel = -1;

void say(const std::string& word) {
  if (::send(step_channel, word.data(), word.size(), MSG_NOSIGNAL) < 0) ::_exit(1);
}

// At each step the child stops until it is told to go on, or killed.
void stop_at(const char* point) {
  say(point);
  char go = 0;
  if (::recv(step_channel, &go, 1, 0) != 1) ::_exit(1);
}

[[noreturn]] void compete(const TestNode& node) {
  Result<Ledger> ledger = node.ledger();
  if (!ledger) ::_exit(2);
  internal::step_hook = stop_at;
  Result<Held> held = ledger->hold(TestNode::request(1), node.node(), {});
  say(held ? "!granted" : held.error().code == ErrorCode::unavailable ? "!none" : "!failed");
  if (held && !held->release(test::proven())) say("!not released");
  internal::step_hook = nullptr;
  ::_exit(0);
}

class Competitor {
 public:
  explicit Competitor(const TestNode& node) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      step_channel = ends[1];
      compete(node);
    }
    ::close(ends[1]);
    channel_ = ends[0];
    read_word();
  }
  ~Competitor() {
    kill();
    ::close(channel_);
  }
  Competitor(const Competitor&) = delete;
  Competitor& operator=(const Competitor&) = delete;

  bool ended() const { return ended_; }
  bool has_unit() const { return has_unit_; }
  bool inside() const { return inside_; }
  const std::string& point() const { return point_; }
  const std::string& verdict() const { return verdict_; }
  std::size_t steps() const { return steps_; }

  void go() {
    if (ended_) return;
    ++steps_;
    const char byte = 'g';
    REQUIRE(::send(channel_, &byte, 1, MSG_NOSIGNAL) == 1);
    read_word();
  }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
    ended_ = true;
    has_unit_ = false;
    inside_ = false;
  }

 private:
  // The next point, past what is only told.
  void read_word() {
    std::array<char, 64> buffer{};
    while (true) {
      const ssize_t got = ::recv(channel_, buffer.data(), buffer.size(), 0);
      if (got <= 0) {
        kill();
        return;
      }
      const std::string word(buffer.data(), static_cast<std::size_t>(got));
      if (word[0] != '!') {
        arrive(word);
        return;
      }
      verdict_ = word.substr(1);
      if (verdict_ == "granted") has_unit_ = true;
    }
  }

  void arrive(const std::string& point) {
    point_ = point;
    if (point == "entered") inside_ = true;
    if (point == "left") inside_ = false;
    if (point == "unlocked") has_unit_ = false;  // of a release: from here on others may have it
  }

  int channel_ = -1;
  pid_t pid_ = 0;
  bool ended_ = false;
  bool has_unit_ = false;
  bool inside_ = false;
  std::size_t steps_ = 0;
  std::string point_;
  std::string verdict_;
};

struct Crash {
  int who = -1;  // nobody
  std::size_t at = 0;
};

// Runs the critical sections in `order` ("abab"); true when the crash came.
class Schedule {
 public:
  Schedule(const std::string& order, Crash crash)
      : node_(1), crash_(crash), both_{Competitor(node_), Competitor(node_)}, order_(order) {}

  bool run() {
    for (const char who : order_) section(who == 'a' ? 0 : 1);
    for (const int who : {0, 1}) {
      while (!both_[index(who)].ended()) section(who);
    }
    check_nothing_is_left();
    return crashed_;
  }

 private:
  static std::size_t index(int who) { return static_cast<std::size_t>(who); }

  // From where it stands until it has left the section, ended, or was killed.
  void section(int who) {
    Competitor& one = both_[index(who)];
    bool was_inside = one.inside();
    while (!one.ended()) {
      if (is_crash(who)) return crash(who);
      one.go();
      check_single_holder();
      REQUIRE(one.point() != "busy");
      if (was_inside && !one.inside()) return;
      was_inside = was_inside || one.inside();
    }
  }

  bool is_crash(int who) const {
    return !crashed_ && crash_.who == who && both_[index(who)].steps() == crash_.at;
  }

  // Before it dies the other one tries: while it is inside the ledger is busy.
  void crash(int who) {
    Competitor& victim = both_[index(who)];
    Competitor& other = both_[index(1 - who)];
    if (victim.inside() && !other.ended() && other.point() == "enter") {
      other.go();
      CHECK(other.point() == "busy");
    }
    victim.kill();
    crashed_ = true;
  }

  void check_single_holder() {
    CHECK_FALSE((both_[0].has_unit() && both_[1].has_unit()));
    for (const Competitor& each : both_) {
      CHECK(each.verdict() != "failed");
      CHECK(each.verdict() != "not released");
    }
  }

  void check_nothing_is_left() {
    Result<Ledger> ledger = node_.ledger();
    REQUIRE(ledger);
    REQUIRE(ledger->repair());
    CHECK(ledger->view()->leases.empty());
    CHECK(ledger->view()->problems.empty());
    CHECK(ledger->hold(TestNode::request(1), node_.node(), {}));
  }

  TestNode node_;
  Crash crash_;
  std::array<Competitor, 2> both_;
  std::string order_;
  bool crashed_ = false;
};

constexpr std::array<const char*, 6> kOrders{"aabb", "abab", "abba", "baab", "baba", "bbaa"};

}  // namespace

TEST_CASE("no order of the critical sections gives a GPU twice") {
  for (const char* order : kOrders) {
    CAPTURE(order);
    CHECK_FALSE(Schedule(order, {}).run());
  }
}

TEST_CASE("no crash at any point of any order gives a GPU twice or loses it") {
  std::size_t crashes = 0;
  for (const char* order : kOrders) {
    for (const int who : {0, 1}) {
      for (std::size_t at = 0;; ++at) {
        CAPTURE(order);
        CAPTURE(who);
        CAPTURE(at);
        if (!Schedule(order, {who, at}).run()) break;  // it has no such step any more
        ++crashes;
      }
    }
  }
  MESSAGE("crashes: " << crashes);
  CHECK(crashes > 150);
}
