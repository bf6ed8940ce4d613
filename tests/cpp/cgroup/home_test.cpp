#include "gpuctl/cgroup/home.hpp"

#include <doctest/doctest.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;

TEST_CASE("v2, hybrid and v1 are told apart, lines come in any order") {
  const Result<cgroup::Home> unified = cgroup::parse_home("0::/user.slice/a:b.scope\n");
  REQUIRE(unified);
  CHECK(unified->version == "v2");
  CHECK(unified->path == "/user.slice/a:b.scope");
  const Result<cgroup::Home> hybrid =
      cgroup::parse_home("0::/x\n5:memory:/mem\n1:name=systemd:/x\n");
  CHECK(hybrid->version == "hybrid");
  CHECK(hybrid->path == "/x");
  const Result<cgroup::Home> old =
      cgroup::parse_home("9:cpu,cpuacct:/c\n5:blkio,memory:/m\n1:name=systemd:/s");
  CHECK(old->version == "v1");
  CHECK(old->path == "/m");
  CHECK(cgroup::parse_home("1:name=systemd:/s\n0::/u")->version == "v2");
}

TEST_CASE("what has no memory and no unified hierarchy is malformed") {
  for (const char* bad :
       {"", "\n", "0:", "garbage", "::", "1:name=systemd:/s", "4:cpu:/c", "00::/x"}) {
    CAPTURE(bad);
    CHECK_FALSE(cgroup::parse_home(bad));
  }
}

TEST_CASE("our own home can be read") {
  const Result<cgroup::Home> home = cgroup::read_home(*HostFs::open("/"));
  if (home) CHECK(home->path.front() == '/');
  const gpuctl::testing::TempTree tree;
  CHECK(cgroup::read_home(*HostFs::open(tree.path())).error().code == ErrorCode::not_found);
}
