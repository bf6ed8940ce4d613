#include "gpuctl/base/without.hpp"

#include <doctest/doctest.h>

using namespace gpuctl;

TEST_CASE("what to do without is a list of known names") {
  const Result<Without> none = parse_without("");
  REQUIRE(none);
  CHECK_FALSE((none->pidfd || none->children || none->cgroup_kill || none->foreign_proc));
  const Result<Without> two = parse_without("children,pidfd");
  REQUIRE(two);
  CHECK((two->pidfd && two->children));
  CHECK_FALSE((two->cgroup_kill || two->foreign_proc));
  for (const char* bad : {"pidfds", "pidfd,", ",", " pidfd", "pidfd children", "PIDFD"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(parse_without(bad));
    CHECK(parse_without(bad).error().code == ErrorCode::usage);
  }
}

TEST_CASE("nothing is missing until it is said") {
  CHECK_FALSE(without().pidfd);
  set_without({true, false, false, false});
  CHECK(without().pidfd);
  set_without({});
  CHECK_FALSE(without().pidfd);
}
