// gpuctl export: one lease, or the node, as another program wants to hear it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/expose/cdi.hpp"
#include "gpuctl/expose/options.hpp"
#include "gpuctl/gpu/json.hpp"
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

Result<lease::Lease> find_lease(const Context& context, const HostFs& fs, const std::string& id) {
  Result<lease::Ledger> ledger =
      lease::Ledger::open({&fs, context.config.text("state_dir"), lease::Scope::slot});
  if (!ledger) return fail(ledger.error());
  return ledger->find(id);
}

std::string absolute(const std::string& path) {
  if (!path.empty() && path.front() == '/') return path;
  char here[4096];
  if (::getcwd(here, sizeof here) == nullptr) return path;
  return std::string(here) + "/" + path;
}

// Under another name first: a reader never meets half of it. 0444: who reads it inside cannot change it.
Result<void> write_lease_file(const std::string& path, const expose::ExportInput& input) {
  Json gpus = Json::array();
  for (const gpu::Gpu& each : input.assigned) gpus.push_back(gpu::to_json(each));
  const Json lease = {{"schema", "gpuctl.lease-file/1"},
                      {"lease_id", json_or_null(input.lease_id)},
                      {"gpus", gpus}};
  const std::string fresh = path + ".new-" + std::to_string(::getpid());
  Result<Fd> fd = open_at(AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0444);
  if (!fd) return fail(fd.error());
  if (Result<void> written = write_all(fd->get(), to_text(lease), fresh); !written) {
    ::unlink(fresh.c_str());
    return written;
  }
  if (::rename(fresh.c_str(), path.c_str()) == 0) return {};
  const int reason = errno;
  ::unlink(fresh.c_str());
  return fail(system_error(reason, path, "cannot write the lease file"));
}

Result<void> choose(const Context& context, const HostFs& fs, const gpu::Inventory& inventory,
                    expose::ExportInput& input) {
  const std::optional<std::string> id = context.invocation.last("lease");
  if (id && context.invocation.has("gpu"))
    return misuse("`--lease` and `--gpu` exclude each other");
  Result<std::vector<gpu::Gpu>> gpus = chosen(inventory, context.invocation.all("gpu"));
  if (id) {
    const Result<lease::Lease> lease = find_lease(context, fs, *id);
    if (!lease) return fail(lease.error());
    input.lease_id = lease->id;
    gpus = units_of(*lease, inventory);
  }
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
  if (*format == "cdi") return print(to_text(expose::cdi_of_lease(exposure)), 0);
  return print_options(context, *format, exposure);
}

}  // namespace gpuctl::app
