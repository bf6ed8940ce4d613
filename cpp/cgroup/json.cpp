#include "gpuctl/cgroup/json.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr Resource kInForce[] = {Resource::memory,          Resource::memory_high, Resource::swap,
                                 Resource::memory_and_swap, Resource::cpus,        Resource::pids};

Json value_json(const Limit& limit) {
  if (limit.resource != Resource::cpus) return limit.value;
  return static_cast<double>(limit.value) / static_cast<double>(kMicroCpus);
}

Json limit_json(const Limit& limit) {
  return {{"value", value_json(limit)},
          {"source", name_of(limit.source)},
          {"by", limit.by},
          {"enforced", limit.enforced}};
}

Json cpuset_json(const std::optional<Cpuset>& cpuset) {
  if (!cpuset) return nullptr;
  return {{"cpus", cpuset->cpus}, {"count", cpuset->count}, {"by", cpuset->by}};
}

Json branch_json(const Branch& branch) {
  return {{"controllers", branch.controllers},
          {"path", branch.path},
          {"directory", branch.dir ? Json(branch.directory) : Json(nullptr)},
          {"how", {{"code", name_of(branch.found)}, {"detail", branch.words}}},
          {"confirmed", json_or_null(branch.confirmed)}};
}

Json problem_json(const Error& error) {
  return {{"code", gpuctl::name_of(error.code)}, {"detail", error.message()}};
}

Json problems_json(const Limits& limits, const OneSample& sample) {
  Json problems = Json::array();
  for (const Error& each : limits.problems) problems.push_back(problem_json(each));
  if (sample.error) problems.push_back(problem_json(*sample.error));
  return problems;
}

Json field_json(const Usage& usage, std::size_t index) {
  const auto field = static_cast<Field>(index);
  if (usage_fields()[index].kind != FieldKind::percent) return json_or_null(usage.get(field));
  return json_or_null(usage.percent(field));
}

Json devices_json(const std::vector<IoDevice>& devices) {
  Json list = Json::array();
  for (const IoDevice& each : devices) {
    list.push_back({{"device", std::to_string(each.major) + ":" + std::to_string(each.minor)},
                    {"read_bytes", each.read_bytes},
                    {"write_bytes", each.write_bytes},
                    {"reads", each.reads},
                    {"writes", each.writes}});
  }
  return list;
}

Json rates_json(const Usage& before, const Usage& now) {
  Json rates = Json::object();
  for (std::size_t i = 0; i < kFields; ++i) {
    const FieldInfo& field = usage_fields()[i];
    if (field.kind == FieldKind::counter)
      rates[std::string(field.column) + "_per_sec"] =
          json_or_null(rate(before, now, static_cast<Field>(i)));
  }
  return rates;
}

}  // namespace

Json usage_json(const OneSample& sample, const char* source) {
  Json usage = {{"source", source}};
  for (std::size_t i = 0; i < kFields; ++i) {
    const FieldInfo& field = usage_fields()[i];
    usage[field.group][field.key] = field_json(sample.usage, i);
  }
  const bool known =
      sample.usage.get(Field::io_read).has_value() || sample.usage.get(Field::io_reads).has_value();
  usage["io"]["devices"] = known ? devices_json(sample.devices) : Json(nullptr);
  return usage;
}

Json limits_json(const Group& group, const Limits& limits) {
  Json json = Json::object();
  for (const Resource each : kInForce) {
    const std::optional<Limit> least = limits.least(each);
    json[name_of(each)] = least ? limit_json(*least) : Json(nullptr);
  }
  json["cpuset"] = cpuset_json(limits.cpuset);
  Json all = Json::array();
  for (const Limit& each : limits.all) {
    Json row = {{"resource", name_of(each.resource)}};
    row.update(limit_json(each));
    all.push_back(std::move(row));
  }
  json["all"] = std::move(all);
  json["ancestors_hidden"] = limits.ancestors_hidden;
  json["trace"] = json_or_null(trace_line(group, limits));
  return json;
}

Json to_json(const Group& group, const Limits& limits, const OneSample& sample,
             const char* source) {
  const Branch& main = group.main();
  Json hierarchies = Json::array();
  for (const Branch& each : group.branches()) hierarchies.push_back(branch_json(each));
  return {{"schema", "gpuctl.cgroup/1"},
          {"path", group.path()},
          {"version", group.version()},
          {"directory", main.dir ? Json(main.directory) : Json(nullptr)},
          {"how", {{"code", name_of(main.found)}, {"detail", main.words}}},
          {"pid", json_or_null(group.pid())},
          {"slot",
           {{"kind", name_of(group.slot().kind)},
            {"path", group.slot().path},
            {"name", group.slot().name}}},
          {"hierarchies", std::move(hierarchies)},
          {"limits", limits_json(group, limits)},
          {"usage", usage_json(sample, source)},
          {"problems", problems_json(limits, sample)}};
}

Json absent_json(const Error& error) {
  return {{"schema", "gpuctl.cgroup/1"},
          {"path", nullptr},
          {"version", nullptr},
          {"limits", nullptr},
          {"usage", nullptr},
          {"problems", Json::array({problem_json(error)})}};
}

Json sample_json(const Group& group, const OneSample& before, const OneSample& now,
                 const char* source) {
  return {{"schema", "gpuctl.cgroup-sample/1"},
          {"at", format_rfc3339(realtime_usec())},
          {"path", group.path()},
          {"usage", usage_json(now, source)},
          {"rates", rates_json(before.usage, now.usage)},
          {"problems", now.error ? Json::array({problem_json(*now.error)}) : Json::array()}};
}

}  // namespace gpuctl::cgroup
