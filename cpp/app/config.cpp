#include "gpuctl/base/json.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

Json to_json(const Config& config) {
  Json settings = Json::array();
  for (const ConfigKey& key : config_keys()) {
    const ConfigValue& value = config.value(key.key);
    settings.push_back(
        {{"key", key.key},
         {"value", json_or_null(value.text)},
         {"origin", value.origin},
         {"enforced_by", json_or_null(value.enforced_by)},
         {"variable", key.variable},
         {"flag", *key.flag == '\0' ? Json(nullptr) : Json(std::string("--") + key.flag)}});
  }
  return {{"schema", "gpuctl.config/1"}, {"settings", settings}};
}

std::string to_words(const Config& config) {
  std::string text;
  for (const ConfigKey& key : config_keys()) {
    const ConfigValue& value = config.value(key.key);
    std::string line = std::string(key.key) + " = " + value.text.value_or("(not set)");
    line.append(line.size() < 40 ? 40 - line.size() : 1, ' ');
    line += "# " + value.origin;
    if (value.enforced_by) line += ", enforced by " + *value.enforced_by;
    text += line + "\n";
  }
  return text;
}

}  // namespace

int run_config(const Context& context) {
  if (!context.invocation.operands.empty()) {
    complain("`config` takes no operand, got `" + context.invocation.operands[0] + "`");
    return 2;
  }
  return print(context.json ? to_text(to_json(context.config)) : to_words(context.config), 0);
}

}  // namespace gpuctl::app
