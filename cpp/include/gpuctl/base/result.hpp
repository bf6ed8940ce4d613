// Result<T>: a value, or an Error that says which file, what was wrong and what was expected.
//
// The members are those of std::expected (C++23), so that it can take this place later.
//
//   Result<std::string> text = fs.read_file("sys/bus/pci/devices/0000:01:00.0/vendor");
//   if (!text) return fail(text.error());
//   use(*text);
//
// An Error is returned or handled, never both returned and logged. Thread-safe as any value type.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace gpuctl {

// What a caller can do about it decides the code, not where it came from.
enum class ErrorCode {
  not_found,  // the thing is not there (ENOENT); absence that is normal is an empty optional instead
  permission,   // it is there and we may not (EACCES, EPERM)
  malformed,    // it was read and is not what its format promises
  unsupported,  // this kernel, file system or gpuctl version does not have it
  unavailable,  // it exists and cannot serve now (no free GPU, limit reached)
  busy,         // somebody else holds it
  timeout,      // a deadline passed; the state of the thing is unknown
  vanished,     // it was there a moment ago (ESRCH, ENODEV): the caller may go on without it
  io,           // the kernel failed the operation (EIO and whatever has no better code)
  usage,        // the caller asked for something that has no meaning
};

// The stable name of a code, as in JSON and in Python: "not_found", "permission", ...
const char* name_of(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::io;
  int errno_value = 0;  // 0 where no system call failed
  std::string path;     // the file or thing concerned, empty where there is none
  std::string detail;   // what was found and what was expected

  // One line for a person: "`PATH`: DETAIL: No such file or directory".
  std::string message() const;
};

// The code that fits an errno value.
ErrorCode code_for_errno(int errno_value);

// An Error from an errno value, saved before anything else can change errno.
Error system_error(int errno_value, std::string path, std::string detail);

// The wrapper that `return fail(...)` produces; converts to any Result.
struct Failure {
  Error error;
};

Failure fail(Error error);
Failure fail(ErrorCode code, std::string path, std::string detail);
Failure fail_errno(int errno_value, std::string path, std::string detail);

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = Error;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}  // NOLINT

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

  template <typename U>
  T value_or(U&& other) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(other));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;

  Result() = default;
  Result(Failure failure) : error_(std::move(failure.error)) {}  // NOLINT: implicit

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const& { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace gpuctl
