// A table of functions of a library, by name: filled in one go, the first that is missing named.
#pragma once

#include <cstring>

#include "interface.hpp"

namespace sanity {

struct Call {
  const char* name;
  void* place;  // address of the function pointer that is to be set
};

template <int count>
bool load_calls(void* library, const Call (&calls)[count], Text& why) {
  for (const Call& call : calls) {
    void* function = nullptr;
    if (!load_symbol(library, call.name, &function, why)) return false;
    std::memcpy(call.place, &function, sizeof function);
  }
  return true;
}

}  // namespace sanity
