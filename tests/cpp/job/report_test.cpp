#include "gpuctl/job/report.hpp"

#include <doctest/doctest.h>

#include <set>

#include "gpuctl/base/json.hpp"

using namespace gpuctl;

TEST_CASE("kill reasons are JAliEn's, each once") {
  std::set<int> codes;
  std::set<std::string> names;
  for (const job::KillReason& reason : job::kill_reasons()) {
    CHECK(codes.insert(reason.code).second);
    CHECK(names.insert(reason.name).second);
    CHECK(job::find_kill_reason(reason.name) == &reason);
    if (reason.code < 900) CHECK(reason.jalien_code == reason.code);
  }
  CHECK(job::kill_reason("TTL").code == 20);
  CHECK(job::kill_reason("GPU_UNAVAILABLE").jalien_code == 301);
  CHECK(job::find_kill_reason("ttl") == nullptr);
}

TEST_CASE("what is not known is null and never left out") {
  const job::Report report;
  const Json json = to_json(report);
  for (const char* key : {"started_at", "cpu_user_usec", "memory_peak_bytes", "lease_id", "cgroup",
                          "kill", "workdir"}) {
    CAPTURE(key);
    REQUIRE(json.contains(key));
    CHECK(json[key].is_null());
  }
  CHECK(json["kill_reason"]["name"] == "OK");
  CHECK(json["state"] == "never_started");
  CHECK(json["gpus"].is_array());
}

TEST_CASE("an end by exit and an end by signal") {
  job::Report report;
  report.wait_status = 7 << 8;
  CHECK(to_json(report)["exit"]["code"] == 7);
  CHECK(to_json(report)["exit"]["signal"].is_null());
  report.wait_status = 11 | 0x80;
  CHECK(to_json(report)["exit"]["code"].is_null());
  CHECK(to_json(report)["exit"]["signal_name"] == "SIGSEGV");
  CHECK(to_json(report)["exit"]["core_dumped"] == true);
  report.wait_status = 40;
  CHECK(to_json(report)["exit"]["signal"] == 40);
  CHECK(to_json(report)["exit"]["signal_name"].is_null());
}

TEST_CASE("bytes that are no text do not break the report") {
  job::Report report;
  report.command = {"\xff\xfe", std::string("nul\0", 4), "\xed\xa0\x80"};
  report.kill = kill::Report{};
  report.kill->survivors.push_back({7, "\x80name", 'D', "", std::nullopt, std::nullopt});
  const Json back = Json::parse(to_text(to_json(report)));
  CHECK(back["command"].size() == 3);
  CHECK(back["kill"]["survivors"][0]["state"] == "D");
  CHECK(back["kill"]["proof"].is_null());
}
