#include "gpuctl/base/config.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

TEST_CASE("the table is sound: every default is a value that its key takes") {
  ConfigSources sources;
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.key);
    CHECK((key.kind == ConfigKind::choice) == (key.choices != nullptr));
    CHECK(std::find_if(config_keys().begin(), config_keys().end(), [&](const ConfigKey& each) {
            return std::string(each.variable) == key.variable;
          })->key == key.key);
    if (key.default_text != nullptr) sources.environment[key.variable] = key.default_text;
  }
  CHECK(Config::load(sources));
}

TEST_CASE("later sources win, and each value knows its origin") {
  const TempTree tree;
  tree.write("system", R"({"ttl": "1h", "outer_grace": 5, "fence": "advisory"})");
  tree.write("user", R"({"ttl": "2h"})");
  ConfigSources sources;
  sources.system_file = tree.path("system");
  sources.user_file = tree.path("user");
  sources.environment = {{"GPUCTL_OUTER_GRACE", "6"}, {"GPUCTL_STRANGE", "x"}};
  sources.flags = {{"fence", "best"}, {"unrelated", "x"}};
  const Result<Config> config = Config::load(sources);
  REQUIRE(config);
  CHECK(*config->text("ttl") == "2h");
  CHECK(config->value("ttl").origin == tree.path("user"));
  CHECK(*config->duration_usec("outer_grace") == 6'000'000);
  CHECK(config->value("fence").origin == "flag --fence");
  CHECK(config->value("root").origin == "default");
  CHECK_FALSE(config->text("workdir"));
}

TEST_CASE("what is enforced gets stronger or stays") {
  const TempTree tree;
  tree.write("system", R"({"enforce": {"ttl": "1h", "fence": "best"}})");
  tree.write("stronger", R"({"enforce": {"ttl": "30m"}})");
  tree.write("weaker", R"({"enforce": {"ttl": "2h"}})");
  ConfigSources sources;
  sources.system_file = tree.path("system");
  sources.user_file = tree.path("stronger");
  CHECK(*Config::load(sources)->text("ttl") == "30m");
  sources.user_file = tree.path("weaker");
  CHECK_FALSE(Config::load(sources));
  sources.user_file.reset();
  sources.flags = {{"ttl", "3601"}};
  CHECK(Config::load(sources).error().code == ErrorCode::usage);
  sources.flags = {{"ttl", "60m"}, {"fence", "strict"}};
  CHECK(Config::load(sources)->value("fence").enforced_by == tree.path("system"));
}

TEST_CASE("no setting is read from what a payload is told about its job") {
  for (const ConfigKey& key : config_keys())
    CHECK(std::string(key.variable).rfind("GPUCTL_JOB_", 0) == std::string::npos);
}

TEST_CASE("the system file may be absent, a named file may not") {
  ConfigSources sources;
  sources.system_file = "/nowhere/config.json";
  CHECK(Config::load(sources));
  sources.user_file = "/nowhere/config.json";
  CHECK_FALSE(Config::load(sources));
}
