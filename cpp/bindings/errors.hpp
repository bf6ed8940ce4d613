// How a failure of the core becomes a Python exception: one way for all bindings.
//
//   std::string text = value_or_raise(read_something());   // raises the leaf of gpuctl.errors that fits the code
//
// Call it with the GIL held.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

#include "gpuctl/base/result.hpp"

namespace gpuctl::bindings {

// The exception itself, for an error that is part of an answer.
pybind11::object exception_of(const Error& error);

// Throws what Python sees as gpuctl.errors.error_for(code, message, path=, errno=, detail=).
[[noreturn]] void raise(const Error& error);

template <typename T>
T value_or_raise(Result<T> result) {
  if (!result) raise(result.error());
  return std::move(*result);
}

}  // namespace gpuctl::bindings
