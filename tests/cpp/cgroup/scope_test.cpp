#include "gpuctl/cgroup/scope.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using cgroup::BusPlaces;
using cgroup::make_scope;
using cgroup::Scope;
using cgroup::ScopeRequest;
using gpuctl::testing::TempTree;

namespace {

constexpr const char* kHome = "0::/system.slice/pilot.service\n";
constexpr const char* kMoved =
    "0::/user.slice/user-2000.slice/user@2000.service/app.slice/gpuctl-1.aa.scope\n";

// A node with a user manager. Its `busctl` is a script: it notes how it was called, and answers as the real one was
// heard to (tests/lab/test_scope.py has the real one).
class Node {
 public:
  Node() {
    tree_.make_dir("run/systemd/system");
    tree_.write("run/user/2000/bus", "");
    tree_.write("proc/1/comm", "systemd\n");
    tree_.write("proc/42/cgroup", kHome);
    tree_.write("moved", kMoved);
    places_.uid = 2000;
    places_.path = tree_.path("bin") + ":/usr/bin:/bin";
    request_.name = "gpuctl-1.aa.scope";
    request_.description = "-- gpuctl job 1";
    request_.pids = {42};
    request_.timeout = 20 * kUsecPerSec;
  }

  // `answer` is shell; $n counts the calls from 1.
  void answers(const std::string& answer) {
    tree_.write("bin/busctl", "#!/bin/sh\ncd " + tree_.path() +
                                  "\necho \"$*\" >>calls\nn=$(wc -l <calls)\n"
                                  "move() { cp moved proc/42/cgroup; }\n"
                                  "refuse() { echo \"Call failed: $*\" >&2; exit 1; }\n" +
                                  answer + "\n");
    ::chmod(tree_.path("bin/busctl").c_str(), 0755);
  }

  Result<Scope> ask() { return make_scope(*HostFs::open(tree_.path()), places_, request_); }
  std::string calls() const { return tree_.read("calls"); }
  std::size_t count() const {
    const std::string all = calls();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n'));
  }
  const TempTree& tree() const { return tree_; }
  BusPlaces& places() { return places_; }
  ScopeRequest& request() { return request_; }

 private:
  TempTree tree_;
  BusPlaces places_;
  ScopeRequest request_;
};

std::string error_of(const Result<Scope>& scope) {
  return scope ? "none" : scope.error().message();
}

}  // namespace

TEST_CASE("the call has the unit's properties, and the values of limits") {
  ScopeRequest request;
  request.name = "a.scope";
  request.description = "d";
  request.pids = {1, 22};
  request.limits.memory_bytes = 1024;
  request.limits.swap_bytes = 0;
  request.limits.cpu_millis = 1500;
  request.limits.cpus = "0-2,9";
  request.limits.pids = 7;
  request.limits.devices = std::vector<std::string>{"/dev/a", "/dev/b"};
  const Result<std::vector<std::string>> words = cgroup::scope_arguments(request);
  REQUIRE(words);
  std::string line;
  for (const std::string& word : *words) line += word + " ";
  CHECK(line ==
        "ssa(sv)a(sa(sv)) a.scope fail 11 Description s d PIDs au 2 1 22 Delegate b true "
        "CollectMode s "
        "inactive-or-failed MemoryMax t 1024 MemorySwapMax t 0 TasksMax t 7 CPUQuotaPerSecUSec t "
        "1500000 DevicePolicy s closed DeviceAllow a(ss) 2 /dev/a rwm /dev/b rwm AllowedCPUs ay 2 "
        "7 2 0 ");
}

TEST_CASE("a list of CPUs that is none is refused") {
  ScopeRequest request;
  for (const char* bad :
       {"", "a", "1-", "-1", "3-1", "1,,2", "0 1", "8192", "0-99999999999", "1-2-3"}) {
    CAPTURE(bad);
    request.limits.cpus = bad;
    CHECK(cgroup::scope_arguments(request).error().code == ErrorCode::malformed);
  }
  request.limits.cpus = "8191";
  CHECK(cgroup::scope_arguments(request));
}

TEST_CASE("we are told where we were moved to, and who did it") {
  Node node;
  node.answers("move");
  const Result<Scope> scope = node.ask();
  REQUIRE_MESSAGE(scope, error_of(scope));
  CHECK(scope->path == "/user.slice/user-2000.slice/user@2000.service/app.slice/gpuctl-1.aa.scope");
  CHECK(scope->bus == "the user's runtime directory");
  CHECK(scope->tries == 1);
  CHECK(node.calls().find("--address=unix:path=/run/user/2000/bus -- call") != std::string::npos);
}

TEST_CASE("an overloaded manager is asked again, but not for ever") {
  Node node;
  node.answers("[ $n -ge 3 ] || refuse Resource temporarily unavailable; move");
  const Result<Scope> scope = node.ask();
  REQUIRE_MESSAGE(scope, error_of(scope));
  CHECK(scope->tries == 3);
  Node busy;
  busy.request().timeout = kUsecPerSec;
  busy.answers("refuse Resource temporarily unavailable");
  CHECK(busy.ask().error().code == ErrorCode::unavailable);
  CHECK(busy.count() >= 2);
  CHECK(busy.count() <= 7);
}

TEST_CASE("a dead unit of the same name is forgotten, once") {
  Node node;
  node.answers(
      "case $* in *ResetFailedUnit\\ s\\ gpuctl-1.aa.scope) : >reset; exit 0;; esac\n"
      "[ -e reset ] || refuse Unit gpuctl-1.aa.scope was already loaded or has a fragment file.\n"
      "move");
  const Result<Scope> scope = node.ask();
  REQUIRE_MESSAGE(scope, error_of(scope));
  CHECK(node.count() == 3);
  Node stubborn;
  stubborn.answers("refuse Unit gpuctl-1.aa.scope was already loaded or has a fragment file.");
  CHECK(stubborn.ask().error().code == ErrorCode::busy);
  CHECK(stubborn.count() == 3);
}

TEST_CASE("a bus that does not serve is followed by the next one") {
  Node node;
  node.tree().write("run/user/1000/bus", "");
  node.places().runtime_dir = "/run/user/1000";
  node.answers("case $* in */1000/*) refuse Access denied;; esac; move");
  const Result<Scope> scope = node.ask();
  REQUIRE_MESSAGE(scope, error_of(scope));
  CHECK(scope->bus == "the user's runtime directory");
  node.answers("refuse Access denied");
  node.tree().write("proc/42/cgroup", kHome);
  CHECK(node.ask().error().code == ErrorCode::permission);
}

TEST_CASE("nobody is asked where nobody can be: the words say what to do") {
  Node silent;
  silent.answers("move");
  std::filesystem::remove(silent.tree().path("run/user/2000/bus"));
  CHECK(silent.ask().error().code == ErrorCode::not_found);
  CHECK(error_of(silent.ask()).find("enable-linger 2000") != std::string::npos);
  Node elsewhere;
  elsewhere.answers("move");
  elsewhere.tree().write("proc/1/comm", "appinit\n");
  CHECK(elsewhere.ask().error().code == ErrorCode::unsupported);
  Node other_init;
  other_init.answers("move");
  std::filesystem::remove_all(other_init.tree().path("run/systemd"));
  CHECK(other_init.ask().error().code == ErrorCode::unsupported);
  for (Node* each : {&silent, &elsewhere, &other_init}) CHECK(each->count() == 0);
  Node bare;
  bare.places().path = bare.tree().path("bin");
  CHECK(bare.ask().error().code == ErrorCode::not_found);
  CHECK(error_of(bare.ask()).find("`busctl`") != std::string::npos);
}

TEST_CASE("a hidden /proc of pid 1 is no obstacle in the node's own pid namespace") {
  Node node;
  node.answers("move");
  std::filesystem::remove(node.tree().path("proc/1/comm"));
  CHECK(node.ask().error().code == ErrorCode::unsupported);
  node.tree().link("pid:[4026531836]", "proc/self/ns/pid");
  CHECK(node.ask());
}

TEST_CASE("promises and silence end at the deadline") {
  Node promising;
  promising.request().timeout = kUsecPerSec;
  promising.answers("exit 0");
  CHECK(promising.ask().error().code == ErrorCode::timeout);
  Node hanging;
  hanging.request().timeout = kUsecPerSec;
  hanging.answers("exec sleep 1000");
  CHECK(hanging.ask().error().code == ErrorCode::timeout);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("a name that is none, and words that nobody knows") {
  Node node;
  node.answers("refuse the moon is full");
  CHECK(node.ask().error().code == ErrorCode::unavailable);
  CHECK(error_of(node.ask()).find("the moon is full") != std::string::npos);
  for (const std::string& bad : {std::string("x"), std::string(".scope"), std::string("a b.scope"),
                                 std::string("a/b.scope"), std::string(300, 'a') + ".scope"}) {
    node.request().name = bad;
    CHECK(node.ask().error().code == ErrorCode::usage);
  }
  const std::string longest = cgroup::scope_name(std::string(64, 'x'), std::string(32, 'a'));
  CHECK(longest == "gpuctl-" + std::string(64, 'x') + "." + std::string(12, 'a') + ".scope");
}
