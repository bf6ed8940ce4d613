// The numbers that are computed and stored, and how they are checked.
#include <cstdlib>
#include <cstring>

#include "interface.hpp"

namespace sanity {
namespace {

// splitmix64: every word of the memory has another value, and a stuck or crossed address line shows.
std::uint64_t word_at(std::uint64_t place) {
  std::uint64_t z = place + 0x9e3779b97f4a7c15U;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
  z = (z ^ z >> 27) * 0x94d049bb133111ebU;
  return z ^ z >> 31;
}

}  // namespace

bool make_vectors(Vectors& vectors, Text& why) {
  auto* block = static_cast<std::uint32_t*>(std::malloc(std::size_t{3} * kElements * 4));
  if (block == nullptr) {
    why.add("no memory on the host");
    return false;
  }
  vectors = {block, block + kElements, block + std::size_t{2} * kElements};
  for (std::uint32_t i = 0; i < kElements; ++i) {
    vectors.a[i] = static_cast<std::uint32_t>(word_at(i));
    vectors.b[i] = static_cast<std::uint32_t>(word_at(i) >> 32);
    vectors.c[i] = 0;
  }
  return true;
}

bool check_answer(const Vectors& vectors, Text& why) {
  for (std::uint32_t i = 0; i < kElements; ++i) {
    const std::uint32_t wanted = vectors.a[i] * kFactor + vectors.b[i];
    if (vectors.c[i] == wanted) continue;
    why.add("element ").add(i).add(" is ").add(vectors.c[i]).add(", right is ").add(wanted);
    return false;
  }
  return true;
}

void fill_pattern(std::uint64_t* chunk, std::uint64_t offset, std::uint64_t bytes) {
  for (std::uint64_t i = 0; i < bytes / 8; ++i) chunk[i] = word_at(offset / 8 + i);
}

bool check_pattern(const std::uint64_t* chunk, std::uint64_t offset, std::uint64_t bytes,
                   Text& why) {
  for (std::uint64_t i = 0; i < bytes / 8; ++i) {
    if (chunk[i] == word_at(offset / 8 + i)) continue;
    why.add("byte ").add(offset + 8 * i).add(" holds another value than was written");
    return false;
  }
  return true;
}

bool write_through(const MemoryPort& port, std::uint64_t bytes, Text& why) {
  auto* chunk = static_cast<std::uint64_t*>(std::malloc(kChunkBytes));
  if (chunk == nullptr) {
    why.add("no memory on the host");
    return false;
  }
  bool good = true;
  for (int round = 0; round < 2 && good; ++round) {
    for (std::uint64_t at = 0; at < bytes && good; at += kChunkBytes) {
      const std::uint64_t size = bytes - at < kChunkBytes ? bytes - at : kChunkBytes;
      if (round == 0) fill_pattern(chunk, at, size);
      good = round == 0 ? port.write(port.state, at, chunk, size)
                        : port.read(port.state, at, chunk, size);
      if (!good) why.add(round == 0 ? "the copy to it failed" : "the copy from it failed");
      if (good && round == 1) good = check_pattern(chunk, at, size, why);
    }
  }
  std::free(chunk);
  return good;
}

}  // namespace sanity
