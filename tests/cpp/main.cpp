// The entry of every room's test program; doctest's own flags apply (`test_base --help`).
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
