#include "gpuctl/job/state_dir.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;
using job::JobDir;
using job::StateDir;

namespace {

std::string own(const TempTree& tree, const std::string& name = "") {
  return tree.path("state/jobs/" + std::to_string(::geteuid()) + (name.empty() ? "" : "/" + name));
}

}  // namespace

TEST_CASE("a claim is a locked directory, and only one") {
  const TempTree tree;
  StateDir state = std::move(*StateDir::open(tree.path("state")));
  Result<JobDir> job = state.claim("a", 0);
  REQUIRE(job);
  CHECK(job->is_ours());
  CHECK(state.claim("a", 0).error().code == ErrorCode::busy);
  CHECK(state.claim("a", 1));
  CHECK(*state.jobs() == std::vector<std::string>{"a.0", "a.1"});
  const Result<JobDir> seen = state.open_job("a.0");
  REQUIRE(seen);
  CHECK_FALSE(seen->is_ours());
}

TEST_CASE("a dead supervisor's lock is free") {
  const TempTree tree;
  StateDir state = std::move(*StateDir::open(tree.path("state")));
  {
    const Result<JobDir> dies = state.claim("a", 0);
  }
  Result<JobDir> job = state.open_job("a.0");
  REQUIRE(job);
  CHECK(job->is_ours());
  CHECK(state.remove(std::move(*job)));
  CHECK(state.jobs()->empty());
  CHECK(state.claim("a", 0));
}

TEST_CASE("a directory that was removed meanwhile is not taken for the new one of its name") {
  const TempTree tree;
  StateDir state = std::move(*StateDir::open(tree.path("state")));
  std::filesystem::create_directories(own(tree, "gone.0"));
  CHECK(state.open_job("gone.0").error().code == ErrorCode::malformed);
  CHECK(state.open_job("none.0").error().code == ErrorCode::not_found);
}

TEST_CASE("modes do not depend on the umask") {
  const mode_t before = ::umask(0);
  const TempTree tree;
  CHECK(StateDir::open(tree.path("state")));
  ::umask(before);
  for (const std::string& path : {tree.path("state"), tree.path("state/jobs"), own(tree)}) {
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
  }
}

TEST_CASE("a shared state directory is sticky or refused; its jobs are shared like itself") {
  const TempTree tree;
  tree.make_dir("state");
  REQUIRE(::chmod(tree.path("state").c_str(), 0777) == 0);
  CHECK(StateDir::open(tree.path("state")).error().code == ErrorCode::permission);
  REQUIRE(::chmod(tree.path("state").c_str(), 01777) == 0);
  REQUIRE(StateDir::open(tree.path("state")));
  struct stat status{};
  REQUIRE(::stat(tree.path("state/jobs").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 01777);
  REQUIRE(::chmod(own(tree).c_str(), 0770) == 0);
  CHECK_FALSE(StateDir::open(tree.path("state")));
}

TEST_CASE("links are not followed") {
  const TempTree tree;
  tree.make_dir("elsewhere");
  tree.link("elsewhere", "state");
  CHECK_FALSE(StateDir::open(tree.path("state")));
  tree.make_dir("real");
  tree.link("../elsewhere", "real/jobs");
  CHECK_FALSE(StateDir::open(tree.path("real")));
  CHECK(std::filesystem::is_empty(tree.path("elsewhere")));
}

TEST_CASE("what a crash left is swept once it is old") {
  const TempTree tree;
  const StateDir state = std::move(*StateDir::open(tree.path("state")));
  std::filesystem::create_directories(own(tree, ".new-1/x"));
  state.sweep();
  CHECK(std::filesystem::exists(own(tree, ".new-1/x")));  // may be in the making
  CHECK(state.jobs()->empty());
}

TEST_CASE("owners are the users who have jobs here") {
  const TempTree tree;
  CHECK(StateDir::owners(tree.path("state")).empty());
  StateDir state = std::move(*StateDir::open(tree.path("state")));
  std::filesystem::create_directories(tree.path("state/jobs/nobody"));
  CHECK(StateDir::owners(tree.path("state")) == std::vector<uid_t>{::geteuid()});
  CHECK(StateDir::open_of(tree.path("state"), ::geteuid()));
  CHECK_FALSE(StateDir::open_of(tree.path("state"), 4242));
}
