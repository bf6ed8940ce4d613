// gpuctl export: one lease, or the node, as another program wants to hear it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/record.hpp"
#include "gpuctl/expose/cdi.hpp"
#include "gpuctl/expose/options.hpp"
#include "gpuctl/lease/json.hpp"
#include "gpuctl/lease/lease_file.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "inventory.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr int kUsage = 2;
constexpr int kPartial = 4;

Failure misuse(const std::string& words) {
  return fail(ErrorCode::usage, "", words + "; see `gpuctl export --help`");
}

Result<std::string> format_of(const Invocation& invocation) {
  if (invocation.operands.size() != 1) return misuse("`export` takes one FORMAT");
  const std::string& format = invocation.operands.front();
  for (const char* known : {"apptainer", "podman", "env", "cdi"}) {
    if (format == known) return format;
  }
  return misuse("`" + printable(format) + "`: expected apptainer, podman, env or cdi");
}

Result<gpu::Inventory> look(const Context& context, const HostFs& fs) {
  Result<gpu::DiscoverOptions> options = gpu::make_discover_options(context.config.text("pci_ids"));
  if (!options) return fail(options.error());
  options->slot = slot_env(context.environment);
  return gpu::discover(fs, *options);
}

Result<std::vector<gpu::Gpu>> chosen(const gpu::Inventory& inventory,
                                     const std::vector<std::string>& ids) {
  std::vector<gpu::Gpu> found;
  for (const std::string& id : ids) {
    const auto place = std::find_if(inventory.gpus.begin(), inventory.gpus.end(),
                                    [&](const gpu::Gpu& each) { return each.id == id; });
    if (place == inventory.gpus.end())
      return misuse("no GPU `" + printable(id) + "` on this node: `gpuctl discover` lists them");
    found.push_back(*place);
  }
  return found;
}

// By id, which is stable over a reboot; what the ledger names and the node has no more is an error, never left out.
Result<std::vector<gpu::Gpu>> units_of(const lease::Lease& lease, const gpu::Inventory& inventory) {
  if (lease.state == lease::State::releasing)
    return fail(ErrorCode::unavailable, "", "lease `" + lease.id + "` is being given back");
  std::vector<std::string> ids;
  for (const lease::Unit& unit : lease.units) ids.push_back(unit.id);
  if (ids.empty())
    return fail(ErrorCode::unavailable, "", "lease `" + lease.id + "` waits for GPUs");
  return chosen(inventory, ids);
}

// Of somebody else's lease there is no file that we could write where the ledger would remove it: the caller names one.
Result<void> use_lease(const Context& context, const HostFs& fs, const gpu::Inventory& inventory,
                       const std::string& id, expose::ExportInput& input) {
  Result<lease::Ledger> ledger =
      lease::Ledger::open({&fs, context.config.text("state_dir"), lease::Scope::slot});
  if (!ledger) return fail(ledger.error());
  const Result<lease::Lease> lease = ledger->find(id);
  if (!lease) return fail(lease.error());
  Result<std::vector<gpu::Gpu>> gpus = units_of(*lease, inventory);
  if (!gpus) return fail(gpus.error());
  input.lease_id = lease->id;
  input.assigned = std::move(*gpus);
  if (context.invocation.has("lease-file")) return {};
  Result<std::string> file = ledger->publish(*lease, input.assigned, lease::kWholeLease);
  if (!file) return misuse(file.error().message() + ": name a file with `--lease-file`");
  input.lease_file = std::move(*file);
  return {};
}

std::string absolute(const std::string& path) {
  if (!path.empty() && path.front() == '/') return path;
  char here[4096];
  if (::getcwd(here, sizeof here) == nullptr) return path;
  return std::string(here) + "/" + path;
}

// 0444: who reads it inside cannot change it.
Result<void> write_lease_file(const std::string& path, const expose::ExportInput& input) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = path.substr(0, std::max<std::size_t>(slash, 1));
  const Result<Fd> dir = open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error());
  const std::string text = to_text(lease::lease_file_json(input.lease_id, input.assigned));
  return replace_file(dir->get(), path.substr(slash + 1), text, 0444);
}

Result<void> choose(const Context& context, const HostFs& fs, const gpu::Inventory& inventory,
                    expose::ExportInput& input) {
  const std::optional<std::string> id = context.invocation.last("lease");
  if (id && context.invocation.has("gpu"))
    return misuse("`--lease` and `--gpu` exclude each other");
  if (id) return use_lease(context, fs, inventory, *id, input);
  Result<std::vector<gpu::Gpu>> gpus = chosen(inventory, context.invocation.all("gpu"));
  if (!gpus) return fail(gpus.error());
  input.assigned = std::move(*gpus);
  return {};
}

Result<expose::ExportInput> input_of(const Context& context, const HostFs& fs,
                                     const gpu::Inventory& inventory) {
  expose::ExportInput input;
  input.root = context.root();
  if (Result<void> done = choose(context, fs, inventory, input); !done) return fail(done.error());
  const std::optional<std::string> file = context.invocation.last("lease-file");
  if (!file) return input;
  if (file->empty()) return misuse("`--lease-file`: expected a path, got nothing");
  input.lease_file = absolute(*file);
  if (Result<void> done = write_lease_file(*input.lease_file, input); !done)
    return fail(done.error());
  return input;
}

int print_options(const Context& context, const std::string& format,
                  const expose::Exposure& exposure) {
  const expose::Options options = format == "apptainer" ? expose::apptainer_options(exposure)
                                  : format == "podman"  ? expose::podman_options(exposure)
                                                        : expose::env_options(exposure);
  for (const std::string& problem : exposure.problems) complain(problem);
  const int code = exposure.problems.empty() ? 0 : kPartial;
  if (context.json) return print(to_text(expose::to_json(format, exposure, options)), code);
  return print(expose::to_shell(options), code);
}

int refuse(const Error& error) {
  const bool callers_fault = error.code == ErrorCode::usage || error.code == ErrorCode::malformed;
  const bool no = error.code == ErrorCode::not_found || error.code == ErrorCode::unavailable;
  return complain(error, callers_fault ? kUsage : no ? 1 : 3);
}

}  // namespace

int run_export(const Context& context) {
  const Result<std::string> format = format_of(context.invocation);
  if (!format) return refuse(format.error());
  const Result<HostFs> fs = context.open_root();
  if (!fs) return refuse(fs.error());
  const Result<gpu::Inventory> inventory = look(context, *fs);
  if (!inventory) return refuse(inventory.error());
  const bool of_node = !context.invocation.has("gpu") && !context.invocation.has("lease");
  if (of_node && *format == "cdi")
    return print(to_text(expose::cdi_of_node(inventory->gpus, context.root())), 0);
  if (of_node) return refuse(misuse("name what is to be exposed by `--lease` or `--gpu`").error);
  const Result<expose::ExportInput> input = input_of(context, *fs, *inventory);
  if (!input) return refuse(input.error());
  expose::Exposure exposure = expose::exposure_of(*input);
  exposure.by_group = expose::reached_by_group(exposure.nodes);
  exposure.selinux = expose::has_selinux(*fs);
  if (*format == "cdi") return print(to_text(expose::cdi_of_lease(exposure)), 0);
  return print_options(context, *format, exposure);
}

}  // namespace gpuctl::app
