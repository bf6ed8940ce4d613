#include "gpus.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/variables.hpp"
#include "gpuctl/fence/device_fence.hpp"
#include "gpuctl/fence/masks.hpp"
#include "gpuctl/gpu/holders.hpp"
#include "gpuctl/gpu/json.hpp"
#include "gpuctl/lease/json.hpp"
#include "gpuctl/lease/lease_file.hpp"
#include "gpuctl/proc/holders.hpp"

namespace gpuctl::job {
namespace {

Result<std::vector<gpu::Gpu>> look(const HostFs& live, const HostFs& hardware,
                                   const gpu::DiscoverOptions& options) {
  Result<gpu::Inventory> inventory = gpu::discover(hardware, options);
  if (!inventory) return fail(inventory.error());
  const proc::NodeHolders found = proc::holders_of_gpu_nodes(live, hardware);
  std::vector<gpu::Holder> holders;
  for (const proc::NodeHolder& each : found.holders)
    holders.push_back({each.pid, each.uid, each.name, false, each.nodes});
  gpu::add_holders(*inventory, holders, {found.processes_read, found.processes_unreadable});
  return std::move(inventory->gpus);
}

std::string words_of(const std::vector<std::string>& argv) {
  std::string words;
  for (const std::string& word : argv) words += (words.empty() ? "" : " ") + word;
  return words;
}

lease::Request request_of(const Run& run) {
  lease::Request request = run.spec.gpus->request;
  request.job = lease::JobName{run.report.id, run.report.resubmission, run.report.nonce};
  request.command = words_of(run.spec.argv);
  return request;
}

// While the job waits for its GPUs it can be ended, and asked how it is.
class Listener {
 public:
  explicit Listener(Run& run)
      : run_(run), signals_(::signalfd(-1, &run.handled_signals, SFD_CLOEXEC | SFD_NONBLOCK)) {}

  lease::Patience patience() {
    lease::Patience patience;
    patience.wait = run_.spec.gpus->wait;
    patience.also.push_back(signals_.get());
    if (run_.control) {
      for (const int fd : run_.control->descriptors()) patience.also.push_back(fd);
    }
    patience.stop = [this] { return told_to_stop(); };
    return patience;
  }

  const std::string& by() const { return by_; }

 private:
  bool told_to_stop() {
    read_signals();
    read_control();
    return !by_.empty();
  }

  void read_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      const int number = static_cast<int>(info.ssi_signo);
      if (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT)
        by_ = "signal " + std::to_string(number);
    }
  }

  void read_control() {
    if (!run_.control) return;
    for (const ControlRequest& request : run_.control->receive()) {
      if (request.kind == ControlRequest::Kind::kill) {
        run_.waiting_clients.push_back(request.client);
        by_ = request.by.empty() ? "the job's owner" : request.by;
      } else {
        run_.control->answer(request.client,
                             {{"id", run_.report.id}, {"stage", "waiting"}, {"processes", 0}});
      }
    }
  }

  Run& run_;
  Fd signals_;
  std::string by_;
};

bool refuse(Run& run, const Error& error, const Listener& listener) {
  if (!listener.by().empty())
    return never_started(run, "KILLED", listener.by() + " while it waited for a GPU");
  run.report.problems.push_back(error.message());
  return never_started(run, "GPU_UNAVAILABLE", error.message());
}

// Units that have left the node since are named; a job must not start with fewer than it was given.
Result<void> assign(Run& run, const std::vector<lease::Unit>& units) {
  GivenGpus& given = *run.given;
  for (const lease::Unit& unit : units) {
    const auto found = std::find_if(given.node.begin(), given.node.end(),
                                    [&](const gpu::Gpu& each) { return each.id == unit.id; });
    if (found == given.node.end())
      return fail(ErrorCode::vanished, unit.id, "the leased GPU is not on this node any more");
    given.assigned.push_back(*found);
  }
  return {};
}

// Of a job that got some GPUs of a lease only.
std::string file_name_of(const Run& run) {
  return "job-" + run.report.id + "." + std::to_string(run.report.resubmission);
}

// Of a lease in another ledger the file is this job's own, and goes with it.
Result<std::string> lease_file_of(Run& run, const lease::Lease& lease, const std::string& name) {
  if (!run.given->elsewhere) return run.ledger->publish(lease, run.given->assigned, name);
  if (name == lease::kWholeLease) return *run.spec.gpus->lease_file;
  return lease::write_lease_file(run.directory->dir, lease::kWholeLease, lease.id,
                                 run.given->assigned);
}

// Without a lease file it runs all the same.
void publish(Run& run, const lease::Lease& lease, const std::string& name) {
  Result<std::string> file = lease_file_of(run, lease, name);
  if (!file) {
    run.report.problems.push_back("no lease file: " + file.error().message());
    return;
  }
  run.given->lease_file = std::move(*file);
}

// In a container of the agent's its ledger is out of sight: then the lease is what the agent's file says. Whoever could
// forge that file could open the nodes as well: what keeps him off is the fence outside.
Result<lease::Lease> find_lease(Run& run, const std::string& name) {
  Result<lease::Lease> found = run.ledger->find(name);
  const std::optional<std::string>& file = run.spec.gpus->lease_file;
  if (found || found.error().code != ErrorCode::not_found || !file) return found;
  Result<lease::Lease> told = lease::read_lease_file(*file);
  if (!told) return told;
  if (told->id != name) return found;
  told->uid = uid_on_node();
  told->state = lease::State::held;
  run.given->elsewhere = true;
  return told;
}

Result<void> use_lease(Run& run, const std::string& name) {
  Result<lease::Lease> found = find_lease(run, name);
  if (!found) return fail(found.error());
  const uid_t self = uid_on_node();
  if (found->uid != self && self != 0)
    return fail(ErrorCode::permission, name,
                "a lease of uid " + std::to_string(found->uid) + ", not of this user");
  if (found->state != lease::State::held)
    return fail(ErrorCode::unavailable, name,
                std::string("the lease is `") + name_of(found->state) + "`, not held");
  run.given->lease_id = found->id;
  const std::vector<std::string>& only = run.spec.gpus->request.only;
  std::vector<lease::Unit> units;
  for (const lease::Unit& unit : found->units) {
    if (only.empty() || std::find(only.begin(), only.end(), unit.id) != only.end())
      units.push_back(unit);
  }
  if (!only.empty() && units.size() < only.size())
    return fail(ErrorCode::usage, name, "not all of the named GPUs are of this lease");
  if (Result<void> assigned = assign(run, units); !assigned) return assigned;
  publish(run, *found, only.empty() ? lease::kWholeLease : file_name_of(run));
  return {};
}

Result<void> hold(Run& run, Listener& listener) {
  // What was given is of the node as it was looked at last: it may have changed while we waited.
  const auto node = [&run]() -> Result<lease::SharedGpus> {
    Result<std::vector<gpu::Gpu>> gpus = look(run.fs, *run.hardware, run.spec.gpus->discover);
    if (!gpus) return fail(std::move(gpus).error());
    run.given->node = *gpus;
    return std::make_shared<const std::vector<gpu::Gpu>>(std::move(*gpus));
  };
  Result<lease::Held> held = run.ledger->hold(request_of(run), node, listener.patience());
  if (!held) return fail(held.error());
  run.lease.emplace(std::move(*held));
  run.given->lease_id = run.lease->lease().id;
  if (Result<void> assigned = assign(run, run.lease->lease().units); !assigned) return assigned;
  publish(run, run.lease->lease(), lease::kWholeLease);
  return {};
}

// What the payload may open is known only now.
Result<void> plan_fence(Run& run) {
  Result<fence::DevicePlan> devices = fence::plan_devices(*run.hardware, run.given->assigned);
  if (!devices) return fail(devices.error());
  run.spec.devices = std::move(*devices);
  return {};
}

void tell(Run& run) {
  Json records = Json::array();
  std::string ids;
  for (const gpu::Gpu& each : run.given->assigned) {
    records.push_back(gpu::to_json(each));
    ids += (ids.empty() ? "" : ", ") + each.id;
  }
  run.report.gpus_json = to_line(records);
  run.report.lease_id = run.given->lease_id;
  for (const auto& [name, value] : fence::mask_variables(run.given->node, run.given->assigned))
    set_variable(run.spec.environment, name, value);
  set_variable(run.spec.environment, lease::kLeaseFileVariable, run.given->lease_file.value_or(""));
  run.trace.line(LogLevel::trace, "GPU " + ids + " leased (" + run.given->lease_id + ")");
}

Result<lease::Ledger> open_ledger(Run& run) {
  Result<HostFs> hardware = HostFs::open(run.spec.gpus->root);
  if (!hardware) return fail(hardware.error());
  run.hardware.emplace(std::move(*hardware));
  return lease::Ledger::open({&*run.hardware, run.spec.state_dir, run.spec.gpus->scope});
}

lease::Proof proof_of(const Run& run) {
  lease::Proof proof = run.ledger->prove(run.lease->lease());
  if (run.report.state != State::survivors) return proof;
  proof.empty = false;
  if (proof.blockers.empty() && run.report.kill) {
    for (const auto& each : run.report.kill->survivors)
      proof.blockers.push_back({each.pid, each.name, "could not be ended"});
  }
  return proof;
}

}  // namespace

bool take_gpus(Run& run) {
  if (!run.spec.gpus) return true;
  Listener listener(run);
  run.given.emplace();
  Result<lease::Ledger> ledger = open_ledger(run);
  if (!ledger) return refuse(run, ledger.error(), listener);
  run.ledger.emplace(std::move(*ledger));
  Result<std::vector<gpu::Gpu>> node = look(run.fs, *run.hardware, run.spec.gpus->discover);
  if (!node) return refuse(run, node.error(), listener);
  run.given->node = std::move(*node);
  if (run.spec.gpus->wait) run.trace.mark("waiting for GPUs");
  const Result<void> taken =
      run.spec.gpus->lease ? use_lease(run, *run.spec.gpus->lease) : hold(run, listener);
  if (!taken) return refuse(run, taken.error(), listener);
  if (Result<void> planned = plan_fence(run); !planned)
    return refuse(run, planned.error(), listener);
  tell(run);
  return true;
}

Result<void> note_payload(Run& run, const lease::Payload& payload) {
  if (run.lease) return run.lease->note_payload(payload);
  if (!run.given || run.given->elsewhere) return {};
  const lease::JobName job{run.report.id, run.report.resubmission, run.report.nonce};
  // The lease's holder proves the end too; what we add lets others do it when that is gone.
  if (Result<void> noted = run.ledger->note_payload(run.given->lease_id, job, payload); !noted)
    run.report.problems.push_back(noted.error().message());
  return {};
}

void release_gpus(Run& run) {
  if (!run.lease) return;
  const Result<lease::Release> released = run.lease->release(proof_of(run));
  if (!released) {
    run.report.problems.push_back("lease " + run.given->lease_id +
                                  " was not given back: " + released.error().message());
    run.trace.line(LogLevel::error, run.report.problems.back());
  } else if (!released->gone) {
    run.report.problems.push_back("lease " + run.given->lease_id +
                                  " stays `releasing`: " + lease::blocker_words(released->lease));
    run.trace.line(LogLevel::error, run.report.problems.back());
  }
}

std::optional<std::string> release_gpus_of(const JobDir& directory, const JobRecord& job) {
  if (!job.gpu_root) return std::nullopt;
  const Result<HostFs> hardware = HostFs::open(*job.gpu_root);
  if (!hardware) return hardware.error().message();
  std::string state = directory.path;  // STATE/jobs/UID/NAME
  for (int i = 0; i < 3; ++i) state.resize(std::min(state.rfind('/'), state.size()));
  Result<lease::Ledger> ledger = lease::Ledger::open({&*hardware, state, lease::Scope::slot});
  if (!ledger) return ledger.error().message();
  const Result<lease::Release> released = ledger->release(job.nonce);
  if (released && released->gone) return std::nullopt;
  if (released) return "its lease stays `releasing`: " + lease::blocker_words(released->lease);
  if (released.error().code == ErrorCode::not_found) return std::nullopt;
  return released.error().message();
}

}  // namespace gpuctl::job
