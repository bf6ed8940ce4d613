// A table of functions of a library, by name: filled in one go, the first that is missing named.
#pragma once

#include <cstring>

#include "interface.hpp"

namespace sanity {

struct Call {
  const char* name;
  void* place;  // of the function pointer that is to be set

  template <typename Function>
  Call(const char* symbol, Function** pointer) : name(symbol), place(static_cast<void*>(pointer)) {}
};

template <int Count>
bool load_calls(void* library, const Call (&calls)[Count], Text& why) {
  for (const Call& call : calls) {
    void* function = nullptr;
    if (!load_symbol(library, call.name, &function, why)) return false;
    std::memcpy(call.place, static_cast<const void*>(&function), sizeof function);
  }
  return true;
}

}  // namespace sanity
