#include "gpuctl/base/json.hpp"

#include <doctest/doctest.h>

using gpuctl::Json;

TEST_CASE("members keep the order of their writing, however many come") {
  Json json = Json::object();
  std::string wanted = "{";
  for (int i = 0; i < 100; ++i) {
    const std::string key = "k" + std::to_string(99 - i);
    json[key] = {{"value", {i, "text"}}};
    wanted += std::string(i > 0 ? "," : "") + R"(")" + key + R"(":{"value":[)" + std::to_string(i) +
              R"(,"text"]})";
  }
  CHECK(json.dump() == wanted + "}");
  CHECK(Json::parse(json.dump()) == json);
  json.erase("k98");
  CHECK(json.size() == 99);
  CHECK_FALSE(json.contains("k98"));
}

TEST_CASE("a copy is full: changing what is there moves nothing") {
  Json json;
  for (int i = 0; i < 8; ++i) json["k" + std::to_string(i)] = i;
  Json copy = json;
  for (auto& [key, value] : copy.items()) {
    copy[key] = "new";
    CHECK(value == "new");
  }
  CHECK(copy.size() == json.size());
}

TEST_CASE("what is put into an object may come from it") {
  Json json;
  for (int i = 0; i < 8; ++i)
    json["k" + std::to_string(i)] = std::string(100, static_cast<char>('a' + i));
  Json copy = json;
  copy.emplace("new", copy["k3"]);
  copy.emplace(copy["k4"].get_ref<const std::string&>(), 1);
  CHECK(copy["new"] == std::string(100, 'd'));
  CHECK(copy[std::string(100, 'e')] == 1);
}
