#include "gpuctl/base/parse.hpp"

#include <doctest/doctest.h>

using namespace gpuctl;

TEST_CASE("unsigned numbers are the whole text or nothing") {
  CHECK(*parse_unsigned("0", "n") == 0);
  CHECK(*parse_unsigned("18446744073709551615", "n") == 18446744073709551615ULL);
  CHECK(*parse_unsigned("ff", "n", 16) == 255);
  CHECK(*parse_unsigned("FF", "n", 16) == 255);
  CHECK(*parse_unsigned("10", "n", 10, 10) == 10);
  for (const char* bad :
       {"", " 1", "1 ", "+1", "-1", "1.0", "0x1", "1e3", "18446744073709551616", "a", "1\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_unsigned(bad, "n"));
  }
  CHECK_FALSE(parse_unsigned("11", "n", 10, 10));
  CHECK_FALSE(parse_unsigned(std::string_view("1\0", 2), "n"));
  CHECK_FALSE(parse_unsigned(std::string(1000, '1'), "n"));
}

TEST_CASE("signed and hexadecimal numbers") {
  CHECK(*parse_signed("-1", "n") == -1);
  CHECK(*parse_signed("-9223372036854775808", "n") == INT64_MIN);
  for (const char* bad : {"", "-", "--1", "+1", "1-", "9223372036854775808"})
    CHECK_FALSE(parse_signed(bad, "n"));
  CHECK(*parse_hex("0x10de", "n") == 0x10de);
  for (const char* bad : {"", "0x", "10de", "0x10dg", "0X10", "0x 1", "0x-1"})
    CHECK_FALSE(parse_hex(bad, "n"));
  CHECK_FALSE(parse_hex("0x10000", "n", 0xffff));
}

TEST_CASE("hexadecimal digits without words") {
  CHECK(*hex_digits("10De") == 0x10de);
  CHECK(*hex_digits("ffffffff") == 0xffffffff);
  CHECK(*hex_digits("0", 1) == 0);
  for (const char* bad : {"", "g", "/", ":", "@", "G", "`", "0x1", "-1", " 1", "1 ", "123456789"}) {
    CAPTURE(bad);
    CHECK_FALSE(hex_digits(bad));
  }
  CHECK_FALSE(hex_digits("12345", 4));
  CHECK_FALSE(hex_digits(std::string_view("\0", 1)));
}

TEST_CASE("parts are taken off a text") {
  std::string_view text = "a=b=c\n\nlast";
  CHECK(take_until(text, '\n') == "a=b=c");
  CHECK(take_until(text, '\n').empty());
  CHECK(take_until(text, '\n') == "last");
  CHECK(text.empty());
  CHECK(take_until(text, '\n').empty());
}

TEST_CASE("durations") {
  CHECK(*parse_duration_usec("90", "d") == 90'000'000);
  CHECK(*parse_duration_usec("90s", "d") == 90'000'000);
  CHECK(*parse_duration_usec("10m", "d") == 600'000'000);
  CHECK(*parse_duration_usec("1h", "d") == 3'600'000'000);
  CHECK(*parse_duration_usec("2d", "d") == 172'800'000'000);
  CHECK(*parse_duration_usec("0", "d") == 0);
  CHECK(parse_duration_usec("3650d", "d"));
  for (const char* bad :
       {"", "s", "1 s", "1S", "1ms", "-1", "1.5h", "1h30m", "3651d", "999999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration_usec(bad, "d"));
  }
}

TEST_CASE("sizes: decimal and binary units") {
  CHECK(*parse_size_bytes("0", "s") == 0);
  CHECK(*parse_size_bytes("16GB", "s") == 16'000'000'000);
  CHECK(*parse_size_bytes("16G", "s") == 16'000'000'000);
  CHECK(*parse_size_bytes("16GiB", "s") == 17'179'869'184);
  CHECK(*parse_size_bytes("1KiB", "s") == 1024);
  for (const char* bad : {"", "GB", "16 GB", "16gb", "16GIB", "-1", "1.5G", "99999999999TiB"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_size_bytes(bad, "s"));
  }
}

TEST_CASE("job ids become path names") {
  for (const char* good : {"1", "A", "a.b", "1_2-3", "x."}) CHECK(parse_job_id(good));
  CHECK(parse_job_id(std::string(64, 'x')));
  for (const char* bad : {"", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a\n", "\xc3\xa4"}) {
    CAPTURE(bad);
    const Result<std::string> id = parse_job_id(bad);
    REQUIRE_FALSE(id);
    CHECK(id.error().code == ErrorCode::usage);
  }
  CHECK_FALSE(parse_job_id(std::string(65, 'x')));
  CHECK_FALSE(parse_job_id(std::string_view("a\0b", 3)));
}

TEST_CASE("pieces of text") {
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split("", ',') == std::vector<std::string_view>{""});
  CHECK(trim(" \t a b\r\n") == "a b");
  CHECK(trim(" \n").empty());
  CHECK(to_lower("AbC\xc3\x84") == "abc\xc3\x84");
  CHECK(printable("a\x1b\n\x7f\xff") == "a\\x1b\\x0a\\x7f\\xff");
}
