// Why a job ended other than by itself: JAliEn's codes, and gpuctl's own above 900.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gpuctl::job {

struct KillReason {
  const char* name;
  int code;
  int jalien_code;  // what JAliEn is told: its own code, or the nearest it has
  const char* meaning;
};

// One row per reason, "OK" first.
const std::vector<KillReason>& kill_reasons();

// The row of that name, or nullptr.
const KillReason* find_kill_reason(std::string_view name);

// The row of a name that is in the table.
const KillReason& kill_reason(std::string_view name);

}  // namespace gpuctl::job
