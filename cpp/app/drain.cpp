// gpuctl drain and undrain: a GPU that gets no new jobs, and gets them again.
#include <algorithm>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tool.hpp"
#include "gpuctl/base/variables.hpp"
#include "gpuctl/fence/masks.hpp"
#include "gpuctl/lease/json.hpp"
#include "ledger_verbs.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr Usec kCheckTakesAtMost = 600 * kUsecPerSec;

Failure usage(const std::string& detail) {
  return fail(ErrorCode::usage, "", detail + "; see `gpuctl help drain`, `gpuctl help undrain`");
}

Result<lease::DrainOrder> order_of(const Invocation& invocation) {
  lease::DrainOrder order;
  if (invocation.operands.size() != 1) return usage("`drain` needs the id of one GPU");
  order.unit_id = invocation.operands[0];
  order.reason = invocation.last("reason").value_or("");
  if (trim(order.reason).empty()) return usage("`drain` needs `--reason TEXT`");
  if (const std::optional<std::string> level = invocation.last("level")) {
    const std::optional<lease::DrainLevel> known = lease::drain_level(*level);
    if (!known)
      return usage("`--level " + printable(*level) + "`: expected inform, no-new-jobs or evict");
    order.level = *known;
  }
  if (const std::optional<std::string> time = invocation.last("for")) {
    const Result<std::int64_t> usec = parse_duration_usec(*time, "`--for`");
    if (!usec) return usage(usec.error().detail);
    order.for_usec = *usec;
  }
  order.needs_check = invocation.has("until-check");
  return order;
}

// Of this node, or still leased although it has left it.
bool is_known(const std::string& id, const gpu::Inventory& inventory, const lease::View& view) {
  const bool here = std::any_of(inventory.gpus.begin(), inventory.gpus.end(),
                                [&](const gpu::Gpu& each) { return each.id == id; });
  return here || std::any_of(view.leases.begin(), view.leases.end(), [&](const lease::Lease& each) {
           return std::any_of(each.units.begin(), each.units.end(),
                              [&](const lease::Unit& unit) { return unit.id == id; });
         });
}

// Leases that a drain of this unit concerns.
Json leases_on(const std::string& id, const lease::View& view) {
  Json ids = Json::array();
  for (const lease::Lease& lease : view.leases) {
    for (const lease::Unit& unit : lease.units) {
      if (unit.id == id || unit.parent_id == id) ids.push_back(lease.id);
    }
  }
  return ids;
}

int answer(const Context& context, const char* schema, const lease::Drain& drain,
           const lease::View& view) {
  const Json leases = leases_on(drain.unit_id, view);
  if (context.json) {
    const Json json = {{"schema", schema}, {"drain", lease::to_json(drain)}, {"leases", leases}};
    return print(to_text(json), 0);
  }
  std::string text =
      drain.unit_id + (drain.lifted
                           ? " gets jobs again"
                           : " is drained (" + std::string(lease::name_of(drain.level)) + ")");
  if (!drain.lifted && !leases.empty())
    text += ", " + std::to_string(leases.size()) +
            (drain.level == lease::DrainLevel::evict ? " leases are evicted" : " leases go on");
  return print(text + "\n", 0);
}

// The check gets the GPU by its mask, as a job would.
Result<void> check(const Context& context, const OpenLedger& opened, const std::string& unit_id,
                   std::vector<std::string> command) {
  const Result<gpu::Inventory> inventory = opened.look();
  if (!inventory) return fail(inventory.error());
  std::vector<gpu::Gpu> assigned;
  for (const gpu::Gpu& each : inventory->gpus) {
    if (each.id == unit_id) assigned.push_back(each);
  }
  if (assigned.empty())
    return fail(ErrorCode::not_found, unit_id, "it is not on this node, so nothing can check it");
  std::vector<std::string> environment = context.environment.entries;
  for (const auto& [name, value] : fence::mask_variables(inventory->gpus, assigned))
    set_variable(environment, name, value);
  const Result<ToolEnd> end =
      run_tool({std::move(command), std::move(environment), kCheckTakesAtMost});
  if (!end) return fail(end.error());
  if (end->exited_with(0)) return {};
  return fail(ErrorCode::unavailable, unit_id, "the check did not pass: " + end->words());
}

}  // namespace

int run_drain(const Context& context) {
  const Result<lease::DrainOrder> order = order_of(context.invocation);
  if (!order) return complain(order.error(), 2);
  Result<std::unique_ptr<OpenLedger>> opened = OpenLedger::open(context);
  if (!opened) return complain(opened.error(), ledger_exit_code(opened.error()));
  lease::Ledger& ledger = (*opened)->ledger();
  const Result<gpu::Inventory> inventory = (*opened)->look();
  if (!inventory) return complain(inventory.error(), 3);
  const Result<lease::View> view = ledger.view();
  if (!view) return complain(view.error(), ledger_exit_code(view.error()));
  if (!is_known(order->unit_id, *inventory, *view)) {
    complain("no GPU `" + printable(order->unit_id) +
             "` on this node: `gpuctl discover` lists them");
    return 2;
  }
  const Result<lease::Drain> drain = ledger.drain(*order);
  if (!drain) return complain(drain.error(), ledger_exit_code(drain.error()));
  return answer(context, "gpuctl.drain/1", *drain, *view);
}

int run_undrain(const Context& context) {
  const std::vector<std::string>& operands = context.invocation.operands;
  const std::vector<std::string>& command = context.invocation.command;
  if (operands.size() != 1)
    return complain(usage("`undrain` needs the id of one GPU, and a check after `--`").error, 2);
  const std::string& unit_id = operands.front();
  Result<std::unique_ptr<OpenLedger>> opened = OpenLedger::open(context);
  if (!opened) return complain(opened.error(), ledger_exit_code(opened.error()));
  if (!command.empty()) {
    const Result<void> passed = check(context, **opened, unit_id, command);
    if (!passed) return complain(passed.error(), ledger_exit_code(passed.error()));
  }
  lease::Ledger& ledger = (*opened)->ledger();
  const std::string reason = context.invocation.last("reason").value_or("");
  const Result<lease::Drain> lifted = ledger.undrain(unit_id, reason, !command.empty());
  if (!lifted) return complain(lifted.error(), ledger_exit_code(lifted.error()));
  const Result<lease::View> view = ledger.view();
  return answer(context, "gpuctl.undrain/1", *lifted, view ? *view : lease::View());
}

}  // namespace gpuctl::app
