// Which file tells which numbers: the accounting files of cgroup v2 and of the v1 controllers, as data.
#pragma once

#include <vector>

#include "scan.hpp"

namespace gpuctl::cgroup::internal {

struct AccountFile {
  const char* controller;  // v1's name, which says in whose hierarchy; "": v2 only
  const char* name;
  Scan scan;
  const char* needs = "";  // the v2 controller without which it is not there
};

const std::vector<AccountFile>& v2_files();
const std::vector<AccountFile>& v1_files();

}  // namespace gpuctl::cgroup::internal
