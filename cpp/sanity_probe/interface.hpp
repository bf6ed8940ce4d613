// Interface: one way to talk to GPUs (CUDA, HIP, Level Zero, OpenCL), loaded with dlopen, so that the probe needs no toolkit.
//
// Every function answers false with words in `why`. `load` comes first, then `list`; the others take a device's number in
// that list. Single-threaded; what is loaded and allocated goes with the process, except large memory, which is freed.
#pragma once

#include <cstdint>

#include "text.hpp"

namespace sanity {

constexpr int kMaxDevices = 64;
constexpr int kNoDevice = 100;  // CUDA's and HIP's word for it

// Empty text and zero: the interface does not tell.
struct Device {
  Text name;
  Text pci_address;  // "0000:63:00.0"
  Text uuid;         // "GPU-…", "MIG-…"
  Text capability;   // "9.0"
  std::uint64_t memory_bytes = 0;
};

struct Versions {
  Text library;  // the file that was loaded
  Text runtime;  // of the interface: "12.2", "3.0"
  Text driver;   // where the interface tells
};

struct Interface {
  const char* name;
  bool (*load)(Versions& versions, Text& why);
  bool (*list)(Device* devices, int* count, Text& why);
  // Fills `bytes` of the device's memory with a pattern that differs everywhere, then reads it all back.
  bool (*memory)(int device, std::uint64_t bytes, Text& why);
  // c = a * k + b on vectors, in a kernel; the answer is checked here.
  bool (*compute)(int device, Text& why);
};

extern const Interface kCuda;
extern const Interface kHip;
extern const Interface kLevelZero;
extern const Interface kOpenCl;

// OpenCL only: devices that are CPUs count too.
extern bool with_cpu_devices;

// The first of `names` (ended by nullptr) that loads; nullptr with the loader's words of each.
void* load_library(const char* const* names, Text& loaded, Text& why);
bool load_symbol(void* library, const char* name, void** function, Text& why);

// ---- the test's numbers, the same for all interfaces ----

constexpr std::uint32_t kElements = 1U << 20;
constexpr std::uint32_t kFactor = 2654435761U;

struct Vectors {
  std::uint32_t* a;
  std::uint32_t* b;
  std::uint32_t* c;
};
bool make_vectors(Vectors& vectors, Text& why);
bool check_answer(const Vectors& vectors, Text& why);

constexpr std::uint64_t kChunkBytes = std::uint64_t{8} << 20;
// Of the chunk that begins at `offset` of the device's memory; `bytes` is a multiple of 8.
void fill_pattern(std::uint64_t* chunk, std::uint64_t offset, std::uint64_t bytes);
bool check_pattern(const std::uint64_t* chunk, std::uint64_t offset, std::uint64_t bytes,
                   Text& why);

// Writes all chunks, then reads all: memory that is there twice under two addresses is found out.
struct MemoryPort {
  bool (*write)(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes);
  bool (*read)(void* state, std::uint64_t offset, void* to, std::uint64_t bytes);
  void* state;
};
bool write_through(const MemoryPort& port, std::uint64_t bytes, Text& why);

}  // namespace sanity
