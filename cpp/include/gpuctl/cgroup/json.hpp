// The JSON of this room's records: one place for the keys.
#pragma once

#include <string>

#include "gpuctl/base/json.hpp"
#include "gpuctl/cgroup/group.hpp"
#include "gpuctl/cgroup/limits.hpp"
#include "gpuctl/cgroup/sampler.hpp"

namespace gpuctl::cgroup {

// "cgroup" or "processes", and the groups of usage_fields(); what is not known is null.
Json usage_json(const OneSample& sample, const char* source);

Json limits_json(const Group& group, const Limits& limits);

// gpuctl.cgroup/1 (docs/schema/cgroup.json).
Json to_json(const Group& group, const Limits& limits, const OneSample& sample, const char* source);

// The same where there is no such cgroup or process.
Json absent_json(const Error& error);

// gpuctl.cgroup-sample/1, one line of a watch; `before` may be the same sample: then the rates are null.
Json sample_json(const Group& group, const OneSample& before, const OneSample& now,
                 const char* source);

}  // namespace gpuctl::cgroup
