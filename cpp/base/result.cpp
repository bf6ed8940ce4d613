#include "gpuctl/base/result.hpp"

#include <cerrno>
#include <cstring>

namespace gpuctl {

const char* name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::permission: return "permission";
    case ErrorCode::malformed: return "malformed";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::busy: return "busy";
    case ErrorCode::timeout: return "timeout";
    case ErrorCode::vanished: return "vanished";
    case ErrorCode::io: return "io";
    case ErrorCode::usage: return "usage";
  }
  return "io";
}

std::string Error::message() const {
  std::string text;
  if (!path.empty()) text += "`" + path + "`: ";
  text += detail;
  if (errno_value != 0) {
    if (!detail.empty()) text += ": ";
    text += std::strerror(errno_value);
  }
  return text;
}

ErrorCode code_for_errno(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR: return ErrorCode::not_found;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::permission;
    case ENOSYS:
    case EOPNOTSUPP: return ErrorCode::unsupported;
    case EAGAIN:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return ErrorCode::unavailable;
    case EBUSY:
    case EEXIST:
    case ETXTBSY: return ErrorCode::busy;
    case ETIMEDOUT: return ErrorCode::timeout;
    case ESRCH:
    case ENODEV:
    case ENXIO: return ErrorCode::vanished;
    default: return ErrorCode::io;
  }
}

Error system_error(int errno_value, std::string path, std::string detail) {
  return Error{code_for_errno(errno_value), errno_value, std::move(path), std::move(detail)};
}

Failure fail(Error error) { return Failure{std::move(error)}; }

Failure fail(ErrorCode code, std::string path, std::string detail) {
  return Failure{Error{code, 0, std::move(path), std::move(detail)}};
}

Failure fail_errno(int errno_value, std::string path, std::string detail) {
  return Failure{system_error(errno_value, std::move(path), std::move(detail))};
}

}  // namespace gpuctl
