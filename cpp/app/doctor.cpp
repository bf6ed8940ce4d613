#include "doctor.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::app {
namespace {

constexpr int kExitUnknown = 3;
constexpr std::size_t kIdWidth = 26;

std::string own_binary() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink(host_paths::kLiveSelfExe, path.data(), path.size());
  return length <= 0 ? "" : std::string(path.data(), static_cast<std::size_t>(length));
}

Result<fence::Capabilities> ask(const Context& context, const HostFs& live) {
  fence::ProbeOptions options;
  options.state_dir = context.config.text("state_dir");
  options.path = context.environment.find("PATH").value_or("");
  options.home = context.environment.find("HOME").value_or("");
  options.own_binary = own_binary();
  options.fresh = context.invocation.has("fresh");
  return fence::probe(live, options);
}

Check judge_settings(const Config& config) {
  std::string enforced;
  std::size_t changed = 0;
  for (const ConfigKey& key : config_keys()) {
    const ConfigValue& value = config.value(key.key);
    if (value.origin != "default") ++changed;
    if (value.enforced_by) enforced += std::string(enforced.empty() ? "" : ", ") + key.key;
  }
  std::string detail = std::to_string(changed) + " of " + std::to_string(config_keys().size()) +
                       " settings are not the default";
  if (!enforced.empty()) detail += "; enforced: " + enforced;
  return {"config", CheckStatus::pass, detail, ""};
}

Json checks_json(const std::vector<Check>& checks) {
  Json list = Json::array();
  for (const Check& each : checks) {
    list.push_back({{"id", each.id},
                    {"status", name_of(each.status)},
                    {"detail", each.detail},
                    {"remedy", each.remedy.empty() ? Json(nullptr) : Json(each.remedy)}});
  }
  return list;
}

Json ladder_json(const fence::Capabilities& capabilities) {
  Json list = Json::array();
  for (const fence::Capability& each : capabilities.all) {
    list.push_back({{"name", each.name},
                    {"what", each.what},
                    {"has", each.has},
                    {"errno", each.errno_value == 0 ? Json(nullptr) : Json(each.errno_value)},
                    {"detail", each.detail}});
  }
  return list;
}

Json settings_json(const Config& config) {
  Json list = Json::array();
  for (const ConfigKey& key : config_keys()) {
    const ConfigValue& value = config.value(key.key);
    list.push_back({{"key", key.key},
                    {"value", json_or_null(value.text)},
                    {"origin", value.origin},
                    {"enforced_by", json_or_null(value.enforced_by)}});
  }
  return list;
}

Json to_json(const Context& context, const fence::Capabilities& capabilities,
             const std::vector<Check>& checks, CheckStatus worst) {
  const ChosenFence chosen = choose_fence(capabilities);
  return {{"schema", "gpuctl.doctor/1"},
          {"status", name_of(worst)},
          {"checks", checks_json(checks)},
          {"ladder", ladder_json(capabilities)},
          {"ladder_from_cache", capabilities.from_cache},
          {"fence", {{"process", chosen.process}, {"device", chosen.device}}},
          {"settings", settings_json(context.config)}};
}

std::string padded(std::string text, std::size_t width) {
  text.append(text.size() < width ? width - text.size() : 1, ' ');
  return text;
}

std::string check_lines(const Check& check) {
  std::string text = padded(name_of(check.status), 6) + padded(check.id, kIdWidth) +
                     printable(check.detail) + "\n";
  if (!check.remedy.empty()) text += std::string(6 + kIdWidth, ' ') + "-> " + check.remedy + "\n";
  return text;
}

std::string to_words(const Context& context, const std::vector<Check>& checks) {
  std::string text;
  for (const Check& each : checks) {
    if (each.status != CheckStatus::skip || context.verbose) text += check_lines(each);
  }
  text += "\n";
  for (const ConfigKey& key : config_keys()) {
    const ConfigValue& value = context.config.value(key.key);
    if (value.origin == "default" && !context.verbose) continue;
    text += std::string(key.key) + " = " + value.text.value_or("(not set)") + "  # " +
            value.origin + (value.enforced_by ? ", enforced by " + *value.enforced_by : "") + "\n";
  }
  return text;
}

CheckStatus worst_of(const std::vector<Check>& checks) {
  CheckStatus worst = CheckStatus::pass;
  for (const Check& each : checks) {
    if (each.status != CheckStatus::skip) worst = std::max(worst, each.status);
  }
  return worst;
}

}  // namespace

const char* name_of(CheckStatus status) {
  constexpr std::array<const char*, 4> kNames = {"pass", "warn", "fail", "skip"};
  return kNames[static_cast<std::size_t>(status)];
}

std::vector<Check> run_checks(const Context& context, const HostFs& live,
                              const fence::Capabilities& capabilities) {
  std::vector<Check> checks;
  for (const std::vector<Check>& each :
       {fence_checks(context, capabilities), gpu_checks(context), cgroup_checks(context, live),
        container_checks(capabilities), state_checks(context)})
    checks.insert(checks.end(), each.begin(), each.end());
  checks.push_back(judge_settings(context.config));
  return checks;
}

int run_doctor(const Context& context) {
  if (!context.invocation.operands.empty()) {
    complain("`doctor` takes no operand, got `" + printable(context.invocation.operands[0]) + "`");
    return 2;
  }
  const Result<HostFs> live = HostFs::open("/");
  if (!live) return complain(live.error(), kExitUnknown);
  const Result<fence::Capabilities> capabilities = ask(context, *live);
  if (!capabilities) return complain(capabilities.error(), kExitUnknown);
  const std::vector<Check> checks = run_checks(context, *live, *capabilities);
  const CheckStatus worst = worst_of(checks);
  const int code = worst == CheckStatus::fail ? 1 : 0;
  if (context.json) return print(to_text(to_json(context, *capabilities, checks, worst)), code);
  return print(to_words(context, checks), code);
}

}  // namespace gpuctl::app
