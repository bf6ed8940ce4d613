// DoingWithout: for its lifetime this kernel looks older than it is (gpuctl/base/without.hpp).
//
//   const DoingWithout older("pidfd,children");
#pragma once

#include <string_view>

#include "gpuctl/base/without.hpp"

namespace gpuctl::testing {

class DoingWithout {
 public:
  explicit DoingWithout(std::string_view list) : before_(without()) {
    set_without(*parse_without(list));
  }
  ~DoingWithout() { set_without(before_); }
  DoingWithout(const DoingWithout&) = delete;
  DoingWithout& operator=(const DoingWithout&) = delete;

 private:
  Without before_;
};

}  // namespace gpuctl::testing
