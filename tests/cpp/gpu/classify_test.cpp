#include "gpuctl/gpu/classify.hpp"

#include <doctest/doctest.h>

using namespace gpuctl;
using namespace gpuctl::gpu;

namespace {

PciFunction function_of(const char* address, std::uint32_t class_code, std::uint16_t vendor,
                        std::uint16_t device) {
  return PciFunction{*PciAddress::parse(address), class_code, vendor, device, {}, {}};
}

std::string reason_of(std::uint32_t class_code, std::uint16_t vendor, std::uint16_t device) {
  const Verdict verdict = classify(function_of("0000:01:00.0", class_code, vendor, device), {});
  if (verdict.role == Role::gpu) return "gpu";
  return verdict.role == Role::unrelated ? "unrelated" : verdict.reason.code;
}

}  // namespace

TEST_CASE("class and vendor together decide what is a GPU") {
  CHECK(reason_of(0x030000, 0x10de, 0x2204) == "gpu");
  CHECK(reason_of(0x030200, 0x10de, 0x2330) == "gpu");
  CHECK(reason_of(0x038000, 0x1002, 0x66a1) == "gpu");
  CHECK(reason_of(0x038000, 0x8086, 0x0bda) == "gpu");
  CHECK(reason_of(0x120000, 0x1002, 0x74a1) == "gpu");
  CHECK(reason_of(0x030200, 0x10de, 0xfffe) == "gpu");  // an id that no table knows
}

TEST_CASE("what looks like a GPU and is none is named") {
  CHECK(reason_of(0x030000, 0x1a03, 0x2000) == "bmc_vga");
  CHECK(reason_of(0x030000, 0x102b, 0x0532) == "bmc_vga");
  CHECK(reason_of(0x030000, 0x1002, 0x515e) == "bmc_vga");
  CHECK(reason_of(0x030000, 0x1af4, 0x1050) == "virtual_vga");
  CHECK(reason_of(0x038000, 0x1234, 0x1111) == "virtual_vga");
  CHECK(reason_of(0x030000, 0x1ed5, 0x0222) == "other_display");
  CHECK(reason_of(0x120000, 0x8086, 0x643e) == "npu");
  CHECK(reason_of(0x120000, 0x8086, 0x09c4) == "not_gpu_accelerator");
  CHECK(reason_of(0x120000, 0x1b36, 0x0005) == "not_gpu_accelerator");
  CHECK(reason_of(0x0b4000, 0x8086, 0x225c) == "coprocessor");
  CHECK(reason_of(0x0b4000, 0x10de, 0x0aa3) == "coprocessor");
}

TEST_CASE("parts of a GPU vendor's cards are named, other devices are not our business") {
  CHECK(reason_of(0x068000, 0x10de, 0x1af1) == "nvswitch");
  CHECK(reason_of(0x068000, 0x10de, 0x0a88) == "bridge");
  CHECK(reason_of(0x060400, 0x10de, 0x05b1) == "bridge");
  CHECK(reason_of(0x040300, 0x1002, 0xaa90) == "audio_function");
  CHECK(reason_of(0x0c0330, 0x10de, 0x1ad6) == "usb_function");
  CHECK(reason_of(0x0c8000, 0x10de, 0x1ad7) == "usb_function");
  CHECK(reason_of(0x0c0500, 0x10de, 0x0264) == "not_display");
  CHECK(reason_of(0x020000, 0x15b3, 0x1021) == "unrelated");
  CHECK(reason_of(0x040300, 0x8086, 0xa1f0) == "unrelated");
}

TEST_CASE("a second head is the same card, a GPU at function 1 is one of its own") {
  const std::vector<PciFunction> old_intel{function_of("0000:00:02.0", 0x030000, 0x8086, 0x2e32),
                                           function_of("0000:00:02.1", 0x038000, 0x8086, 0x2e33)};
  CHECK(classify(old_intel[0], old_intel).role == Role::gpu);
  CHECK(classify(old_intel[1], old_intel).reason.code == "second_function");
  const std::vector<PciFunction> alone{function_of("0000:84:00.0", 0x060400, 0x1002, 0x14a0),
                                       function_of("0000:84:00.1", 0x030000, 0x1002, 0x6798)};
  CHECK(classify(alone[1], alone).role == Role::gpu);
  const std::vector<PciFunction> pvc{function_of("0000:29:00.0", 0x038000, 0x8086, 0x0bda),
                                     function_of("0000:29:00.1", 0x038000, 0x8086, 0x0bda)};
  CHECK(classify(pvc[1], pvc).role == Role::gpu);
}

TEST_CASE("a broken function is a GPU when what can be read says so") {
  PciIdentity known;
  known.class_code = 0x030200;
  CHECK_FALSE(vendor_of_broken_gpu(known).has_value());
  known.driver = "nvidia";
  CHECK(vendor_of_broken_gpu(known) == kVendorNvidia);
  known.driver.reset();
  known.vendor = kVendorAmd;
  CHECK(vendor_of_broken_gpu(known) == kVendorAmd);
  known.class_code = 0x040300;
  CHECK_FALSE(vendor_of_broken_gpu(known).has_value());
  known.class_code.reset();
  known.device = 0x66a1;
  CHECK(vendor_of_broken_gpu(known) == kVendorAmd);
  known.device = 0xaa90;  // a sound function
  CHECK_FALSE(vendor_of_broken_gpu(known).has_value());
}

TEST_CASE("integrated graphics are told by place or by chip") {
  CHECK(is_integrated(function_of("0000:00:02.0", 0x030000, 0x8086, 0x5917), ""));
  CHECK_FALSE(is_integrated(function_of("0000:03:00.0", 0x030000, 0x8086, 0x56a0), "DG2"));
  CHECK(is_integrated(function_of("0000:c4:00.0", 0x030000, 0x1002, 0x15bf), "Phoenix1"));
  CHECK_FALSE(is_integrated(function_of("0000:63:00.0", 0x038000, 0x1002, 0x66a1), "Vega 20"));
  CHECK_FALSE(
      is_integrated(function_of("0000:00:00.0", 0x120000, 0x1002, 0x74a0), "Aqua Vanjaram"));
}
