#include "gpuctl/base/fork_mark.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace gpuctl {
namespace {

constexpr std::size_t kBytes = 1;  // the kernel gives a page
constexpr int kWipeOnFork = 18;    // MADV_WIPEONFORK of <asm-generic/mman-common.h>

volatile unsigned char* make_page() {
  void* page = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (::madvise(page, kBytes, kWipeOnFork) != 0) {
    ::munmap(page, kBytes);
    return nullptr;
  }
  auto* mark = static_cast<volatile unsigned char*>(page);
  *mark = 1;
  return mark;
}

}  // namespace

ForkMark::ForkMark() : pid_(::getpid()), page_(make_page()) {}

bool ForkMark::is_here() const { return page_ ? *page_ == 1 : pid_ == ::getpid(); }

void ForkMark::Unmap::operator()(volatile unsigned char* page) const {
  ::munmap(const_cast<unsigned char*>(page), kBytes);
}

}  // namespace gpuctl
