// Which variables of the caller's environment are the pilot's own credentials, so that no payload inherits them. The one
// table of them is in credentials.cpp.
//
// The job's own pass: JALIEN_TOKEN_CERT, JALIEN_TOKEN_KEY, ALIEN_JOB_TOKEN, JBox (ALIEN_MASTERPROXY, JALIEN_HOST,
// JALIEN_WSPORT and the like) and what META_VARIABLES names. So does whatever is given by `--env`.
#pragma once

#include <string>
#include <vector>

namespace gpuctl::fence {

// Takes them out of `environment` (NAME=value) and returns their names, sorted.
std::vector<std::string> withhold_credentials(std::vector<std::string>& environment);

}  // namespace gpuctl::fence
