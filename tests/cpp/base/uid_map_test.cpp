#include "gpuctl/base/uid_map.hpp"

#include <doctest/doctest.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

TEST_CASE("the uid outside of a user namespace is what the map says") {
  const TempTree tree;
  const HostFs fs = *HostFs::open(tree.path());
  CHECK(outer_uid(fs, 7) == 7);
  tree.write("proc/self/uid_map", "         0          0 4294967295\n");
  CHECK(outer_uid(fs, 2000) == 2000);
  tree.write("proc/self/uid_map",
             "         0       2000          1\n         1     100000      65536\n");
  CHECK(outer_uid(fs, 0) == 2000);
  CHECK(outer_uid(fs, 5) == 100004);
  CHECK(outer_uid(fs, 70000) == 70000);
  tree.write("proc/self/uid_map", "garbage\n1 2\n\n-1 -2 -3\n");
  CHECK(outer_uid(fs, 1) == 1);
}
