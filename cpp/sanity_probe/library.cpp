#include <dlfcn.h>

#include "interface.hpp"

// The versions from before glibc 2.34; see start.cpp.
#if defined(GPUCTL_OWN_START) && defined(__x86_64__)
#define OLD_VERSION "GLIBC_2.2.5"
#elif defined(GPUCTL_OWN_START) && defined(__aarch64__)
#define OLD_VERSION "GLIBC_2.17"
#endif
#ifdef OLD_VERSION
__asm__(".symver dlopen,dlopen@" OLD_VERSION);
__asm__(".symver dlsym,dlsym@" OLD_VERSION);
__asm__(".symver dlerror,dlerror@" OLD_VERSION);
#endif

namespace sanity {

void* load_library(const char* const* names, Text& loaded, Text& why) {
  for (; *names != nullptr; ++names) {
    if (void* library = dlopen(*names, RTLD_NOW | RTLD_GLOBAL); library != nullptr) {
      loaded.add(*names);
      return library;
    }
    // of several names the first that is there and does not load has the words that matter
    const char* words = dlerror();
    if (why.length > 0) why.add("; ");
    why.add(words != nullptr ? words : *names);
  }
  return nullptr;
}

bool load_symbol(void* library, const char* name, void** function, Text& why) {
  *function = dlsym(library, name);
  if (*function != nullptr) return true;
  why.add("it has no `").add(name).add("`");
  return false;
}

}  // namespace sanity
