// The ledger as Python sees it: requests come as plain values, answers go as JSON text. A held lease is an object.
#include <pybind11/stl.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/gpu/holders.hpp"
#include "gpuctl/gpu/json.hpp"
#include "gpuctl/lease/json.hpp"
#include "gpuctl/lease/lease_file.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "gpuctl/proc/holders.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

using Variables = std::map<std::string, py::str>;

// The hardware with its ledger; its node is looked at anew for each request unless it was `frozen`.
class PyLedger {
 public:
  PyLedger(HostFs live, HostFs hardware, gpu::DiscoverOptions options)
      : live_(std::move(live)), hardware_(std::move(hardware)), options_(std::move(options)) {}

  Result<void> open(const std::optional<std::string>& state_dir, lease::Scope scope) {
    Result<lease::Ledger> ledger = lease::Ledger::open({&hardware_, state_dir, scope});
    if (!ledger) return fail(ledger.error());
    ledger_.emplace(std::move(*ledger));
    return {};
  }

  lease::Ledger& ledger() { return *ledger_; }

  Result<gpu::Inventory> look() const {
    Result<gpu::Inventory> inventory = gpu::discover(hardware_, options_);
    if (!inventory) return inventory;
    const proc::NodeHolders found = proc::holders_of_gpu_nodes(live_, hardware_);
    if (!found.looked) return inventory;
    std::vector<gpu::Holder> holders;
    for (const proc::NodeHolder& each : found.holders)
      holders.push_back({each.pid, each.uid, each.name, false, each.nodes});
    gpu::add_holders(*inventory, holders, {found.processes_read, found.processes_unreadable});
    return inventory;
  }

  Result<void> freeze() {
    Result<gpu::Inventory> inventory = look();
    if (!inventory) return fail(inventory.error());
    frozen_ = std::make_shared<const std::vector<gpu::Gpu>>(std::move(inventory->gpus));
    return {};
  }

  lease::Node node() const {
    return [this]() -> Result<lease::SharedGpus> {
      if (frozen_) return frozen_;
      Result<gpu::Inventory> inventory = look();
      if (!inventory) return fail(inventory.error());
      return std::make_shared<const std::vector<gpu::Gpu>>(std::move(inventory->gpus));
    };
  }

 private:
  HostFs live_;
  HostFs hardware_;
  gpu::DiscoverOptions options_;
  std::optional<lease::Ledger> ledger_;
  lease::SharedGpus frozen_;
};

struct PyHeld {
  std::shared_ptr<PyLedger> ledger;
  std::unique_ptr<lease::Held> held;  // empty once it was given back
};

std::vector<std::string> as_bytes(const std::vector<py::str>& texts) {
  std::vector<std::string> all;
  for (const py::str& text : texts) all.push_back(os_bytes(text));
  return all;
}

template <typename Call>
auto unlocked(const Call& call) {
  auto result = [&] {
    const py::gil_scoped_release release;
    return call();
  }();
  return value_or_raise(std::move(result));
}

std::shared_ptr<PyLedger> open_ledger(const py::str& root, const std::optional<py::str>& state_dir,
                                      const std::string& scope,
                                      const std::optional<py::str>& pci_ids,
                                      const Variables& slot) {
  std::map<std::string, std::string> variables;
  for (const auto& [name, value] : slot) variables[name] = os_bytes(value);
  const std::string root_path = os_bytes(root);
  const std::optional<std::string> state = bytes_or_nothing(state_dir);
  gpu::DiscoverOptions options =
      value_or_raise(gpu::make_discover_options(bytes_or_nothing(pci_ids)));
  options.slot = gpu::make_slot_env([&](const std::string& name) -> gpu::SlotEnv::Value {
    const auto found = variables.find(name);
    return found == variables.end() ? gpu::SlotEnv::Value() : found->second;
  });
  return unlocked([&]() -> Result<std::shared_ptr<PyLedger>> {
    Result<HostFs> live = HostFs::open("/");
    if (!live) return fail(live.error());
    Result<HostFs> hardware = HostFs::open(root_path);
    if (!hardware) return fail(hardware.error());
    auto opened =
        std::make_shared<PyLedger>(std::move(*live), std::move(*hardware), std::move(options));
    const lease::Scope reach = scope == "slot" ? lease::Scope::slot : lease::Scope::node;
    if (Result<void> done = opened->open(state, reach); !done) return fail(done.error());
    return opened;
  });
}

lease::Together together_of(const std::optional<std::string>& same) {
  if (!same) return lease::Together::anywhere;
  if (*same != "numa" && *same != "link")
    raise({ErrorCode::usage, 0, "", "`same` is `" + *same + "`: expected numa or link"});
  return *same == "numa" ? lease::Together::numa_node : lease::Together::link;
}

lease::Request make_request(std::size_t count, const std::vector<py::str>& vendors,
                            const std::vector<py::str>& models,
                            const std::vector<py::str>& architectures,
                            std::optional<std::uint64_t> memory_bytes,
                            const std::vector<py::str>& only, const std::vector<py::str>& exclude,
                            const std::optional<std::string>& same, bool allow_integrated,
                            const std::optional<py::str>& job, unsigned resubmission,
                            const py::str& command, std::optional<Usec> expires_in) {
  lease::Request request;
  request.wish.count = count;
  for (const std::string& name : as_bytes(vendors)) {
    const std::optional<std::string> vendor = gpu::vendor_named(name);
    if (!vendor)
      raise({ErrorCode::usage, 0, "", "vendor `" + name + "`: expected nvidia, amd or intel"});
    request.wish.vendors.push_back(*vendor);
  }
  request.wish.models = as_bytes(models);
  request.wish.architectures = as_bytes(architectures);
  request.wish.memory_bytes = memory_bytes;
  request.only = as_bytes(only);
  request.exclude = as_bytes(exclude);
  request.together = together_of(same);
  request.allow_integrated = allow_integrated;
  if (job) request.job = lease::JobName{os_bytes(*job), resubmission, ""};
  request.command = os_bytes(command);
  request.expires_in = expires_in;
  return request;
}

// A signal may have come while it waits: Python's handlers run now, and what they raise ends the wait.
class Interrupts {
 public:
  explicit Interrupts(py::object stop) : stop_(std::move(stop)) {}

  lease::Patience patience(std::optional<Usec> wait) {
    lease::Patience patience;
    patience.wait = wait;
    patience.stop = [this] {
      const py::gil_scoped_acquire acquire;
      try {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        return !stop_.is_none() && stop_().cast<bool>();
      } catch (py::error_already_set& raised) {
        raised_.emplace(raised);
        return true;
      }
    };
    return patience;
  }
  void raise_again() {
    if (raised_) throw py::error_already_set(*raised_);
  }

 private:
  py::object stop_;
  std::optional<py::error_already_set> raised_;
};

PyHeld hold(const std::shared_ptr<PyLedger>& self, const lease::Request& request,
            std::optional<Usec> wait, py::object stop) {
  Interrupts interrupts(std::move(stop));
  const lease::Patience patience = interrupts.patience(wait);
  Result<lease::Held> held = [&] {
    const py::gil_scoped_release release;
    return self->ledger().hold(request, self->node(), patience);
  }();
  interrupts.raise_again();
  if (!held) raise(held.error());
  return {self, std::make_unique<lease::Held>(std::move(*held))};
}

std::string record(PyLedger& self, const lease::Request& request, std::optional<Usec> wait,
                   pid_t owner_pid, const std::optional<py::str>& cgroup) {
  Interrupts interrupts{py::none()};
  const lease::Patience patience = interrupts.patience(wait);
  const lease::Owner owner{owner_pid, bytes_or_nothing(cgroup)};
  Result<lease::Lease> lease = [&] {
    const py::gil_scoped_release release;
    return self.ledger().record(request, self.node(), patience, owner);
  }();
  interrupts.raise_again();
  return to_line(lease::to_json(value_or_raise(std::move(lease))));
}

std::string release_json(const lease::Release& done) {
  return to_line(Json{{"released", done.gone}, {"lease", lease::to_json(done.lease)}});
}

std::string release_by_name(PyLedger& self, const py::str& name) {
  const std::string wanted = os_bytes(name);
  return release_json(unlocked([&] { return self.ledger().release(wanted); }));
}

// `proven`: the caller knows that nothing of the job is left, and no process is looked for.
// Nothing when the units are free.
std::optional<std::string> give_back(PyHeld& self, bool proven) {
  if (!self.held) raise({ErrorCode::usage, 0, "", "the lease was given back already"});
  const lease::Release done = unlocked([&] {
    lease::Proof proof;
    if (proven) {
      proof.empty = true;
      proof.how = "the caller's word";
    } else {
      proof = self.ledger->ledger().prove(self.held->lease());
    }
    return self.held->release(proof);
  });
  self.held.reset();
  if (done.gone) return std::nullopt;
  return release_json(done);
}

std::string lease_of(const PyHeld& self) {
  if (!self.held) raise({ErrorCode::usage, 0, "", "the lease was given back already"});
  return to_line(lease::to_json(self.held->lease()));
}

py::str publish(const PyHeld& self) {
  if (!self.held) raise({ErrorCode::usage, 0, "", "the lease was given back already"});
  return os_text(unlocked([&]() -> Result<std::string> {
    const lease::Lease& lease = self.held->lease();
    const Result<gpu::Inventory> inventory = self.ledger->look();
    if (!inventory) return fail(inventory.error());
    std::vector<gpu::Gpu> gpus;
    for (const lease::Unit& unit : lease.units) {
      for (const gpu::Gpu& each : inventory->gpus) {
        if (each.id == unit.id) gpus.push_back(each);
      }
    }
    return self.ledger->ledger().publish(lease, gpus, lease::kWholeLease);
  }));
}

Json view_json(const gpu::Inventory& inventory, const lease::View& view) {
  Json json = {{"gpus", Json::array()},
               {"leases", Json::array()},
               {"drains", Json::array()},
               {"problems", Json::array()},
               {"repaired", view.repaired}};
  for (const gpu::Gpu& each : inventory.gpus) json["gpus"].push_back(lease::unit_json(each, view));
  for (const lease::Lease& each : view.leases) json["leases"].push_back(lease::to_json(each));
  for (const lease::Drain& each : view.drains) json["drains"].push_back(lease::to_json(each));
  for (const Error& each : view.problems) json["problems"].push_back(lease::problem_json(each));
  for (const lease::LostUnit& each : lease::lost_units(inventory.gpus, view))
    json["problems"].push_back(lease::problem_json(each));
  return json;
}

std::string status(PyLedger& self, bool repair) {
  return unlocked([&]() -> Result<std::string> {
    const Result<gpu::Inventory> inventory = self.look();
    if (!inventory) return fail(inventory.error());
    const Result<lease::View> view = repair ? self.ledger().repair() : self.ledger().view();
    if (!view) return fail(view.error());
    return to_line(view_json(*inventory, *view));
  });
}

std::string drain(PyLedger& self, const py::str& unit_id, const std::string& level,
                  const py::str& reason, const std::string& cause, std::optional<Usec> for_usec,
                  bool needs_check) {
  lease::DrainOrder order;
  order.unit_id = os_bytes(unit_id);
  const std::optional<lease::DrainLevel> known = lease::drain_level(level);
  if (!known)
    raise(
        {ErrorCode::usage, 0, "", "level `" + level + "`: expected inform, no-new-jobs or evict"});
  order.level = *known;
  order.reason = os_bytes(reason);
  order.cause = cause;
  order.for_usec = for_usec;
  order.needs_check = needs_check;
  return to_line(lease::to_json(unlocked([&] { return self.ledger().drain(order); })));
}

std::string undrain(PyLedger& self, const py::str& unit_id, const py::str& reason,
                    bool check_passed) {
  const std::string unit = os_bytes(unit_id);
  const std::string words = os_bytes(reason);
  return to_line(
      lease::to_json(unlocked([&] { return self.ledger().undrain(unit, words, check_passed); })));
}

std::optional<std::string> note_probe(PyLedger& self, const py::str& unit_id, bool hung,
                                      Usec asked_ago_usec) {
  const std::string unit = os_bytes(unit_id);
  const std::optional<lease::Drain> made =
      unlocked([&] { return self.ledger().note_probe(unit, hung, asked_ago_usec); });
  if (!made) return std::nullopt;
  return to_line(lease::to_json(*made));
}

std::vector<std::string> history(PyLedger& self) {
  return unlocked([&] { return self.ledger().history(); });
}

void freeze(PyLedger& self) {
  const Result<void> done = [&] {
    const py::gil_scoped_release release;
    return self.freeze();
  }();
  if (!done) raise(done.error());
}

}  // namespace

void bind_lease(py::module_& module) {
  py::class_<lease::Request>(module, "GpuRequest")
      .def(py::init(&make_request), py::kw_only(), py::arg("count"), py::arg("vendors"),
           py::arg("models"), py::arg("architectures"), py::arg("memory_bytes"), py::arg("only"),
           py::arg("exclude"), py::arg("same"), py::arg("allow_integrated"), py::arg("job"),
           py::arg("resubmission"), py::arg("command"), py::arg("expires_usec"));
  py::class_<PyHeld>(module, "HeldLease")
      .def("json", &lease_of)
      .def("descriptors",
           [](const PyHeld& self) {
             return self.held ? self.held->descriptors() : std::vector<int>();
           })
      .def("publish", &publish)
      .def("give_back", &give_back, py::arg("proven"));
  py::class_<PyLedger, std::shared_ptr<PyLedger>>(module, "Ledger")
      .def("hold", &hold, py::arg("request"), py::arg("wait_usec"), py::arg("stop"))
      .def("record", &record, py::arg("request"), py::arg("wait_usec"), py::arg("owner_pid"),
           py::arg("cgroup"))
      .def("release", &release_by_name, py::arg("name"))
      .def("status", &status, py::arg("repair"))
      .def("drain", &drain, py::arg("unit_id"), py::arg("level"), py::arg("reason"),
           py::arg("cause"), py::arg("for_usec"), py::arg("needs_check"))
      .def("undrain", &undrain, py::arg("unit_id"), py::arg("reason"), py::arg("check_passed"))
      .def("note_probe", &note_probe, py::arg("unit_id"), py::arg("hung"),
           py::arg("asked_ago_usec"))
      .def("history", &history)
      .def("freeze", &freeze)
      .def_property_readonly("path", [](PyLedger& self) { return os_text(self.ledger().path()); });
  module.def("open_ledger", &open_ledger, py::arg("root"), py::arg("state_dir"), py::arg("scope"),
             py::arg("pci_ids"), py::arg("slot"));
}

}  // namespace gpuctl::bindings
