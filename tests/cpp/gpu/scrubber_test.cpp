#include <doctest/doctest.h>

#include "gpuctl/gpu/capture.hpp"

using namespace gpuctl::gpu;

TEST_CASE("serial numbers go, what stands beside them stays") {
  Scrubber scrubber({});
  CHECK(scrubber.scrub("Serial Number : 1324520042233") == "Serial Number : SCRUBBED");
  CHECK(scrubber.scrub("<serial>1324520042233</serial>") == "<serial>SCRUBBED</serial>");
  CHECK(scrubber.scrub("{\"Serial Number\": \"PCB032-0001\", \"VRAM\": \"17163091968\"}") ==
        "{\"Serial Number\": \"SCRUBBED\", \"VRAM\": \"17163091968\"}");
  CHECK(scrubber.scrub("{\"asset_serial\": \"N/A\", \"size\": 17163091968}") ==
        "{\"asset_serial\": \"N/A\", \"size\": 17163091968}");
  CHECK(scrubber.scrub("serial 1324520042233") == "serial SCRUBBED");
  CHECK(scrubber.scrub("serial") == "serial");
}

TEST_CASE("a UUID is the same one everywhere, whatever its case") {
  Scrubber scrubber({});
  const std::string made_up = "GPU-00000001-0000-4000-8000-000000000001";
  CHECK(scrubber.scrub("GPU-6a1b5f2e-77aa-4f6e-8a10-00000000a001") == made_up);
  CHECK(scrubber.scrub("GPU-6A1B5F2E-77AA-4F6E-8A10-00000000A001,") == made_up + ",");
  CHECK(scrubber.scrub("MIG-7a1b5f2e-77aa-4f6e-8a10-00000000a001") ==
        "MIG-00000002-0000-4000-8000-000000000002");
}

TEST_CASE("names of hosts and people, as whole words") {
  Scrubber scrubber({"wn042", "anna", "ab"});
  CHECK(scrubber.scrub("wn042 wn0421 anna/x ab") == "node wn0421 node/x ab");
  CHECK(scrubber.scrub("built by (dvs-builder@U16-A1) today") == "built by (user@host) today");
  CHECK(scrubber.scrub("/home/otto/a.out @ /home/eva") == "/home/user/a.out @ /home/user");
  CHECK(scrubber.scrub("a\n\nb\n") == "a\n\nb\n");
  CHECK(scrubber.scrub("") == "");
}

TEST_CASE("a card's unique id in every spelling") {
  Scrubber scrubber({});
  scrubber.learn_unique_id(0xc34ec50444dd0a6c);
  CHECK(scrubber.scrub("c34ec50444dd0a6c") == "1000000000000001");
  CHECK(scrubber.scrub("0xc34ec50444dd0a6c") == "0x1000000000000001");
  CHECK(scrubber.scrub("unique_id 14073402507705256556") == "unique_id 1152921504606846977");
}
