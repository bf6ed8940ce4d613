// gpuctl reserve: GPUs for an agent that comes and goes, or for as long as a command runs. gpuctl release: back again.
#include <unistd.h>

#include <algorithm>

#include "gpu_request.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/json.hpp"
#include "gpuctl/lease/json.hpp"
#include "ledger_verbs.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

Failure usage(const std::string& detail) {
  return fail(ErrorCode::usage, "", detail + "; see `gpuctl reserve --help`");
}

Result<lease::Owner> owner_of(const Invocation& invocation) {
  const Result<std::uint64_t> pid =
      parse_unsigned(*invocation.last("owner-pid"), "`--owner-pid`", 10, 0x7fffffff);
  if (!pid || *pid == 0) return usage("`--owner-pid`: expected the number of a process");
  return lease::Owner{static_cast<pid_t>(*pid), invocation.last("cgroup")};
}

Result<lease::Request> request_of(const Context& context) {
  const Invocation& invocation = context.invocation;
  Result<std::optional<job::GpuOrder>> order = gpu_order(context);
  if (!order) return fail(order.error());
  lease::Request request;
  if (*order) request = std::move((*order)->request);
  if (const std::optional<std::string> given = invocation.last("job")) {
    const Result<std::string> id = parse_job_id(*given);
    if (!id) return fail(id.error());
    const Result<std::uint64_t> resubmission = parse_unsigned(
        invocation.last("resubmission").value_or("0"), "`--resubmission`", 10, 1'000'000);
    if (!resubmission) return fail(resubmission.error());
    request.job = lease::JobName{*id, static_cast<unsigned>(*resubmission), ""};
  }
  if (const std::optional<std::string> text = invocation.last("expires")) {
    const Result<std::int64_t> expires = parse_duration_usec(*text, "`--expires`");
    if (!expires) return usage(expires.error().detail);
    request.expires_in = *expires;
  }
  return request;
}

Result<lease::Patience> patience_of(const Invocation& invocation) {
  lease::Patience patience;
  if (const std::optional<std::string> text = invocation.last("wait")) {
    const Result<std::int64_t> wait = parse_duration_usec(*text, "`--wait`");
    if (!wait) return usage(wait.error().detail);
    patience.wait = *wait;
  }
  return patience;
}

Json gpus_of(const lease::Lease& lease, const gpu::Inventory& inventory) {
  Json gpus = Json::array();
  for (const lease::Unit& unit : lease.units) {
    for (const gpu::Gpu& each : inventory.gpus) {
      if (each.id == unit.id) gpus.push_back(gpu::to_json(each));
    }
  }
  return gpus;
}

int answer_granted(const Context& context, const OpenLedger& opened, const lease::Lease& lease) {
  if (!context.json) {
    std::string text = lease.id;
    for (const lease::Unit& unit : lease.units) text += " " + unit.id;
    return print(text + "\n", 0);
  }
  const Result<gpu::Inventory> inventory = opened.look();
  const Json json = {{"schema", "gpuctl.reserve/1"},
                     {"lease", lease::to_json(lease)},
                     {"gpus", inventory ? gpus_of(lease, *inventory) : Json::array()},
                     {"reason", nullptr}};
  return print(to_text(json), 0);
}

int answer_refused(const Context& context, const Error& error) {
  const int code = ledger_exit_code(error);
  if (!context.json || code != 1) return complain(error, code);
  const Json json = {{"schema", "gpuctl.reserve/1"},
                     {"lease", nullptr},
                     {"gpus", Json::array()},
                     {"reason", error.message()}};
  return print(to_text(json), code);
}

int record(const Context& context) {
  const Result<lease::Owner> owner = owner_of(context.invocation);
  if (!owner) return complain(owner.error(), 2);
  const Result<lease::Request> request = request_of(context);
  if (!request) return complain(request.error(), ledger_exit_code(request.error()));
  const Result<lease::Patience> patience = patience_of(context.invocation);
  if (!patience) return complain(patience.error(), 2);
  Result<std::unique_ptr<OpenLedger>> opened = OpenLedger::open(context);
  if (!opened) return complain(opened.error(), ledger_exit_code(opened.error()));
  const Result<lease::Lease> lease =
      (*opened)->ledger().record(*request, (*opened)->node(), *patience, *owner);
  return lease ? answer_granted(context, **opened, *lease) : answer_refused(context, lease.error());
}

// By its id, or by the job that it was reserved for.
std::optional<std::string> wanted_lease(const Invocation& invocation) {
  if (invocation.operands.size() == 1 && !invocation.has("job")) return invocation.operands[0];
  if (invocation.operands.empty()) return invocation.last("job");
  return std::nullopt;
}

int answer_released(const Context& context, const lease::Release& done) {
  const int code = done.gone ? 0 : 1;
  if (context.json) {
    const Json json = {{"schema", "gpuctl.release/1"},
                       {"released", done.gone},
                       {"lease", lease::to_json(done.lease)}};
    return print(to_text(json), code);
  }
  if (done.gone) return print("released " + done.lease.id + "\n", code);
  complain("lease " + done.lease.id +
           " stays `releasing`: " + printable(lease::blocker_words(done.lease)));
  return code;
}

}  // namespace

int run_reserve(const Context& context) {
  const bool holds = !context.invocation.operands.empty();
  const bool records = context.invocation.has("owner-pid");
  if (holds == records) {
    complain(
        "`reserve` needs either `--owner-pid PID`, whose lease it records, or a command, for which "
        "it holds one; see `gpuctl reserve --help`");
    return 2;
  }
  return holds ? run_held(context) : record(context);
}

int run_release(const Context& context) {
  const std::optional<std::string> name = wanted_lease(context.invocation);
  if (!name) {
    complain("`release` needs one of LEASE and `--job ID`; see `gpuctl release --help`");
    return 2;
  }
  Result<std::unique_ptr<OpenLedger>> opened = OpenLedger::open(context);
  if (!opened) return complain(opened.error(), ledger_exit_code(opened.error()));
  const Result<lease::Release> done = (*opened)->ledger().release(*name);
  if (!done) return complain(done.error(), ledger_exit_code(done.error()));
  return answer_released(context, *done);
}

}  // namespace gpuctl::app
