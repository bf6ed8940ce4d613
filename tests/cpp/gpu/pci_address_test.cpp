#include "gpuctl/gpu/pci_address.hpp"

#include <doctest/doctest.h>

using gpuctl::Result;
using gpuctl::gpu::PciAddress;

TEST_CASE("a PCI address is read as every tool writes it, and written as sysfs does") {
  const struct {
    const char* given;
    const char* expected;
  } cases[] = {{"0000:0c:00.0", "0000:0c:00.0"},
               {"00000000:0C:00.0", "0000:0c:00.0"},
               {"10000:01:1f.7", "10000:01:1f.7"},
               {"ffffffff:ff:1f.7", "ffffffff:ff:1f.7"},
               {"0035:04:00.0", "0035:04:00.0"}};
  for (const auto& each : cases) {
    const Result<PciAddress> address = PciAddress::parse(each.given);
    REQUIRE(address.has_value());
    CHECK(address->text() == each.expected);
  }
}

TEST_CASE("what is no PCI address is refused") {
  for (const char* text :
       {"", ":", "::.", "0c:00.0", "0000:0c:00", "0000:0c:00.8", "0000:0c:20.0", "0000:c:00.0",
        "000:0c:00.0", "123456789:0c:00.0", "0000:0c:00.0 ", " 0000:0c:00.0", "0000:0c:00.0.0",
        "0000:0c:0x.0", "-000:0c:00.0", "0000:0c:00.0\n", "0000:0c:00.00", "virtfn0"}) {
    CAPTURE(text);
    CHECK_FALSE(PciAddress::parse(text).has_value());
  }
}

TEST_CASE("addresses order by number, not by text") {
  const PciAddress low = *PciAddress::parse("ffff:ff:1f.7");
  const PciAddress high = *PciAddress::parse("10000:00:00.0");
  CHECK(low < high);
  CHECK(*PciAddress::parse("0000:01:00.0") < *PciAddress::parse("0000:01:00.1"));
  CHECK(low.same_slot(*PciAddress::parse("ffff:ff:1f.0")));
  CHECK_FALSE(low.same_slot(*PciAddress::parse("ffff:ff:1e.7")));
}
