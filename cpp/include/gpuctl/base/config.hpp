// Config: every setting in force, and where it came from.
//
// Sources, each over the one before: built-in default, the system file (/etc/gpuctl/config.json), the file named by
// GPUCTL_CONFIG, environment variables, command-line flags. A file is one JSON object of settings; its member
// `enforce` is an object of settings that later sources may strengthen and never weaken (a shorter TTL is
// stronger than a longer one, `strict` than `best`; a setting without an order may not be changed at all).
//
// One row of the table in config.cpp is one setting: its key, variable, flag, kind and order. Readers of Config ask by key.
// This room reads files that it is given and no environment: `app` and the bindings hand the variables in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/result.hpp"

namespace gpuctl {

enum class ConfigKind { text, path, duration, size, choice, boolean };

// Which of two values is the stronger one. `fixed`: an enforced value cannot be changed.
enum class ConfigOrder { fixed, smaller_is_stronger, later_choice_is_stronger, true_is_stronger };

struct ConfigKey {
  const char* key;       // as in the file: "forced_kill_timeout"
  const char* variable;  // "GPUCTL_FORCED_KILL_TIMEOUT"
  const char* flag;      // "forced-kill-timeout"; empty: none
  ConfigKind kind;
  ConfigOrder order;
  const char* default_text;  // nullptr: no value
  const char* choices;       // "advisory|best|strict", weakest first; nullptr for other kinds
  const char* help;
};

const std::vector<ConfigKey>& config_keys();

struct ConfigValue {
  std::optional<std::string> text;  // nullopt: not set
  std::string origin;  // "default", a file's path, "environment GPUCTL_ROOT", "flag --root"
  std::optional<std::string> enforced_by;
};

struct ConfigSources {
  std::string system_file;                         // may be absent
  std::optional<std::string> user_file;            // GPUCTL_CONFIG: must be there when it is named
  std::map<std::string, std::string> environment;  // GPUCTL_* only
  std::map<std::string, std::string> flags;        // by flag name without dashes
};

class Config {
 public:
  // ErrorCode::usage with the origin and the remedy for a bad value, an unknown key or a weakened enforcement.
  static Result<Config> load(const ConfigSources& sources);

  const ConfigValue& value(const std::string& key) const { return values_.at(key); }
  std::optional<std::string> text(const std::string& key) const { return value(key).text; }
  std::optional<std::int64_t> duration_usec(const std::string& key) const;
  std::optional<std::uint64_t> size_bytes(const std::string& key) const;
  bool boolean(const std::string& key) const { return text(key) == "true"; }

 private:
  std::map<std::string, ConfigValue> values_;
};

}  // namespace gpuctl
