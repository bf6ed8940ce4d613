#include "gpuctl/base/config.hpp"

#include <fcntl.h>

#include <algorithm>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl {
namespace {

constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;

Failure config_error(const std::string& origin, const std::string& detail) {
  return fail(ErrorCode::usage, "", detail + " (from " + origin + ")");
}

const ConfigKey* find_key(const std::string& key) {
  const auto& keys = config_keys();
  const auto row = std::find_if(keys.begin(), keys.end(),
                                [&](const ConfigKey& each) { return key == each.key; });
  return row == keys.end() ? nullptr : &*row;
}

// The place of `text` among "a|b|c", or -1.
int choice_rank(const ConfigKey& key, const std::string& text) {
  const std::vector<std::string_view> choices = split(key.choices, '|');
  const auto found = std::find(choices.begin(), choices.end(), text);
  return found == choices.end() ? -1 : static_cast<int>(found - choices.begin());
}

std::string replace_bars(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos;)
    text.replace(at, 1, ", ");
  return text;
}

Result<void> check_value(const ConfigKey& key, const std::string& text, const std::string& origin) {
  switch (key.kind) {
    case ConfigKind::duration: {
      const Result<std::int64_t> usec = parse_duration_usec(text, std::string("`") + key.key + "`");
      return usec ? Result<void>() : config_error(origin, usec.error().detail);
    }
    case ConfigKind::size: {
      const Result<std::uint64_t> bytes =
          parse_jalien_size_bytes(text, std::string("`") + key.key + "`");
      return bytes ? Result<void>() : config_error(origin, bytes.error().detail);
    }
    case ConfigKind::choice:
      if (choice_rank(key, text) >= 0) return {};
      return config_error(origin, std::string("`") + key.key + "`: expected one of " +
                                      replace_bars(key.choices) + ", got `" + printable(text) +
                                      "`");
    case ConfigKind::boolean:
      if (text == "true" || text == "false") return {};
      return config_error(origin, std::string("`") + key.key + "`: expected true or false, got `" +
                                      printable(text) + "`");
    case ConfigKind::path:
      if (!text.empty() && text.find('\0') == std::string::npos) return {};
      return config_error(origin, std::string("`") + key.key + "`: expected a path, got nothing");
    case ConfigKind::text: return {};
  }
  return {};
}

bool weakens(const ConfigKey& key, const std::string& enforced, const std::string& wanted) {
  switch (key.order) {
    case ConfigOrder::fixed: return wanted != enforced;
    case ConfigOrder::smaller_is_stronger:
      return *parse_duration_usec(wanted, key.key) > *parse_duration_usec(enforced, key.key);
    case ConfigOrder::later_choice_is_stronger:
      return choice_rank(key, wanted) < choice_rank(key, enforced);
    case ConfigOrder::true_is_stronger: return enforced == "true" && wanted != "true";
  }
  return true;
}

// A JSON scalar as the text that the same setting has in a variable or a flag.
std::optional<std::string> scalar_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
  return std::nullopt;
}

class Loader {
 public:
  Loader() {
    for (const ConfigKey& key : config_keys()) {
      ConfigValue value;
      if (key.default_text != nullptr) value.text = key.default_text;
      value.origin = "default";
      values_.emplace(key.key, std::move(value));
    }
  }

  Result<void> apply(const ConfigKey& key, const std::string& text, const std::string& origin) {
    if (const Result<void> good = check_value(key, text, origin); !good) return good;
    ConfigValue& value = values_.at(key.key);
    const auto enforced = enforced_.find(key.key);
    if (enforced != enforced_.end() && weakens(key, enforced->second, text)) {
      return config_error(origin, std::string("`") + key.key + "` may not be `" + printable(text) +
                                      "`: `" + enforced->second + "` is enforced by " +
                                      *value.enforced_by);
    }
    value.text = text;
    value.origin = origin;
    return {};
  }

  // An enforced value is in force at once, unless an earlier source already set a stronger one.
  Result<void> enforce(const ConfigKey& key, const std::string& text, const std::string& origin) {
    if (const Result<void> good = check_value(key, text, origin); !good) return good;
    ConfigValue& value = values_.at(key.key);
    const auto earlier = enforced_.find(key.key);
    if (earlier != enforced_.end() && weakens(key, earlier->second, text)) {
      return config_error(origin, std::string("`enforce.") + key.key + "` is weaker than what " +
                                      *value.enforced_by + " enforces");
    }
    enforced_[key.key] = text;
    value.enforced_by = origin;
    if (!value.text || value.origin == "default" || weakens(key, text, *value.text)) {
      value.text = text;
      value.origin = origin;
    }
    return {};
  }

  Result<void> apply_file(const std::string& path, bool required) {
    const Result<Fd> fd = open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (!fd && fd.error().code == ErrorCode::not_found && !required) return {};
    if (!fd) return config_error(path, "cannot read the configuration: " + fd.error().message());
    const Result<std::string> text = read_all(fd->get(), kMaxConfigBytes, path);
    if (!text)
      return config_error(path, "cannot read the configuration: " + text.error().message());
    const Json root = Json::parse(*text, nullptr, false);
    if (!root.is_object()) return config_error(path, "the configuration is not a JSON object");
    return apply_object(root, path);
  }

  Result<void> apply_environment(const std::map<std::string, std::string>& environment) {
    for (const ConfigKey& key : config_keys()) {
      const auto entry = environment.find(key.variable);
      if (entry == environment.end() || entry->second.empty()) continue;
      if (Result<void> done = apply(key, entry->second, "environment " + entry->first); !done)
        return done;
    }
    return {};
  }

  Result<void> apply_flags(const std::map<std::string, std::string>& flags) {
    for (const ConfigKey& key : config_keys()) {
      const auto entry = flags.find(key.flag);
      if (entry == flags.end()) continue;
      if (Result<void> done = apply(key, entry->second, "flag --" + entry->first); !done)
        return done;
    }
    return {};
  }

  std::map<std::string, ConfigValue> take() { return std::move(values_); }

 private:
  // `enforce` first, so that the same file's own settings are held to it too.
  Result<void> apply_object(const Json& root, const std::string& path) {
    const auto enforced = root.find("enforce");
    if (enforced != root.end()) {
      if (!enforced->is_object()) return config_error(path, "`enforce` is not a JSON object");
      if (Result<void> done = apply_members(*enforced, path, true); !done) return done;
    }
    return apply_members(root, path, false);
  }

  Result<void> apply_members(const Json& object, const std::string& path, bool enforced) {
    for (const auto& [name, json] : object.items()) {
      if (!enforced && name == "enforce") continue;
      const ConfigKey* key = find_key(name);
      if (key == nullptr) {
        return config_error(
            path, "unknown setting `" + printable(name) + "`: see `gpuctl config --help`");
      }
      const std::optional<std::string> text = scalar_text(json);
      if (!text)
        return config_error(path, "`" + name + "`: expected a string, a number or a boolean");
      Result<void> done = enforced ? enforce(*key, *text, path) : apply(*key, *text, path);
      if (!done) return done;
    }
    return {};
  }

  std::map<std::string, ConfigValue> values_;
  std::map<std::string, std::string> enforced_;
};

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  using Kind = ConfigKind;
  using Order = ConfigOrder;
  static const std::vector<ConfigKey> keys = {
      {"root", "GPUCTL_ROOT", "root", Kind::path, Order::fixed, "/", nullptr,
       "directory that stands in for the hardware of this machine"},
      {"state_dir", "GPUCTL_STATE_DIR", "state-dir", Kind::path, Order::fixed, nullptr, nullptr,
       "where jobs and leases are recorded; /run/gpuctl where it exists, else /dev/shm/gpuctl"},
      {"workdir", "GPUCTL_WORKDIR", "workdir", Kind::path, Order::fixed, nullptr, nullptr,
       "parent of the jobs' work directories"},
      {"fence", "GPUCTL_FENCE", "fence", Kind::choice, Order::later_choice_is_stronger, "best",
       "advisory|best|strict", "how firmly a job is kept to its own GPUs"},
      {"ledger_scope", "GPUCTL_LEDGER_SCOPE", "ledger-scope", Kind::choice,
       Order::later_choice_is_stronger, "node", "slot|node",
       "node: reserve only where the whole node sees the ledger; slot: also where only this slot "
       "does"},
      {"leave_slot", "GPUCTL_LEAVE_SLOT", "leave-slot", Kind::choice,
       Order::later_choice_is_stronger, "auto", "auto|never",
       "whether gpuctl may leave the slot's cgroup for a scope of systemd, with the same limits"},
      {"ttl", "GPUCTL_TTL", "ttl", Kind::duration, Order::smaller_is_stronger, nullptr, nullptr,
       "longest run time of a payload"},
      {"forced_kill_timeout", "GPUCTL_FORCED_KILL_TIMEOUT", "forced-kill-timeout", Kind::duration,
       Order::smaller_is_stronger, "60s", nullptr, "time between TERM and KILL, at most 600 s"},
      {"outer_grace", "GPUCTL_OUTER_GRACE", "outer-grace", Kind::duration,
       Order::smaller_is_stronger, "25s", nullptr,
       "time between TERM and KILL when the batch system ends us, below its own limit"},
      {"preempt", "GPUCTL_PREEMPT", "preempt", Kind::choice, Order::fixed, "relative_use",
       "never|growth|relative_use|absolute_use",
       "which job of a slot goes when its memory runs out: who grew most, who uses most of its "
       "request, who uses most"},
      {"slot_margin", "GPUCTL_SLOT_MARGIN", "", Kind::size, Order::fixed, "50MB", nullptr,
       "memory that a slot's jobs leave free, for each core"},
      {"swap_margin", "GPUCTL_SWAP_MARGIN", "", Kind::size, Order::fixed, "1GB", nullptr,
       "swap that they leave free on the machine, at most half of it"},
      {"machine_margin", "GPUCTL_MACHINE_MARGIN", "", Kind::size, Order::fixed, "1GB", nullptr,
       "memory that they leave free on the machine"},
      {"spared_memory", "GPUCTL_SPARED_MEMORY", "", Kind::size, Order::fixed, "2GB", nullptr,
       "a job that uses less, for each core, never goes"},
      {"container", "GPUCTL_CONTAINER", "container", Kind::choice, Order::fixed, "auto",
       "auto|apptainer|podman|none", "what payloads run in"},
      {"image", "GPUCTL_IMAGE", "image", Kind::text, Order::fixed, nullptr, nullptr,
       "image of the container, whatever the JDL's platform is"},
      {"image_dir", "GPUCTL_IMAGE_DIR", "", Kind::path, Order::fixed,
       "/cvmfs/alice.cern.ch/containers/fs/singularity", nullptr,
       "where the images of the platforms are: compat_el9-x86_64, default"},
      {"runtime_dir", "GPUCTL_RUNTIME_DIR", "", Kind::path, Order::fixed,
       "/cvmfs/alice.cern.ch/containers/bin", nullptr,
       "where the container runtimes are: apptainer/current/bin, podman/current/bin; PATH comes "
       "after it"},
      {"shm_size", "GPUCTL_SHM_SIZE", "", Kind::size, Order::fixed, nullptr, nullptr,
       "shared memory of a Podman container [half of the job's memory]"},
      {"sanity", "GPUCTL_SANITY", "sanity", Kind::choice, Order::later_choice_is_stronger, "auto",
       "never|auto|always", "whether a job's GPUs are proven to compute before it starts"},
      {"match", "GPUCTL_MATCH", "match", Kind::choice, Order::later_choice_is_stronger, "auto",
       "never|auto|always",
       "whether a job that does not fit the node is refused; auto: in a CE's slot"},
      {"collector", "GPUCTL_COLLECTOR", "collector", Kind::text, Order::fixed, nullptr, nullptr,
       "URL of the Site Sonar collector; none: nobody is asked"},
      {"pci_ids", "GPUCTL_PCI_IDS", "pci-ids", Kind::text, Order::fixed, nullptr, nullptr,
       "the system's file of PCI names, used where it is newer than the names compiled in; `none` "
       "for never"},
  };
  return keys;
}

std::optional<std::int64_t> Config::duration_usec(const std::string& key) const {
  const std::optional<std::string> set = text(key);
  if (!set) return std::nullopt;
  return *parse_duration_usec(*set, key);  // checked when it was loaded
}

std::optional<std::uint64_t> Config::size_bytes(const std::string& key) const {
  const std::optional<std::string> set = text(key);
  if (!set) return std::nullopt;
  return *parse_jalien_size_bytes(*set, key);  // checked when it was loaded
}

Result<Config> Config::load(const ConfigSources& sources) {
  Loader loader;
  Result<void> done = loader.apply_file(sources.system_file, false);
  if (done && sources.user_file) done = loader.apply_file(*sources.user_file, true);
  if (done) done = loader.apply_environment(sources.environment);
  if (done) done = loader.apply_flags(sources.flags);
  if (!done) return fail(done.error());
  Config config;
  config.values_ = loader.take();
  return config;
}

}  // namespace gpuctl
