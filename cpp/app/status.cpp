// gpuctl status: the inventory joined with leases, drains and who holds the device nodes.
#include <poll.h>

#include <algorithm>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/lease/json.hpp"
#include "ledger_verbs.hpp"
#include "status_text.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr int kLookAgainMs = 5000;  // what no event tells: a process that opens a node
constexpr int kLookAgainUnwatchedMs = 500;

Json status_json(const gpu::Inventory& inventory, const lease::View& view,
                 const std::string& path) {
  Json json;
  json["schema"] = "gpuctl.status/1";
  json["gpus"] = Json::array();
  for (const gpu::Gpu& each : inventory.gpus) json["gpus"].push_back(lease::unit_json(each, view));
  json["leases"] = Json::array();
  for (const lease::Lease& each : view.leases) json["leases"].push_back(lease::to_json(each));
  json["drains"] = Json::array();
  for (const lease::Drain& each : view.drains) json["drains"].push_back(lease::to_json(each));
  json["problems"] = Json::array();
  for (const gpu::Problem& each : inventory.problems) {
    Json problem = lease::problem_json(each.error);
    problem["pci_address"] = json_or_null(each.pci_address);
    json["problems"].push_back(std::move(problem));
  }
  for (const Error& each : view.problems) json["problems"].push_back(lease::problem_json(each));
  for (const lease::LostUnit& each : lease::lost_units(inventory.gpus, view))
    json["problems"].push_back(lease::problem_json(each));
  json["repaired"] = view.repaired;
  json["ledger"] = path;
  return json;
}

struct Seen {
  gpu::Inventory inventory;
  lease::View view;
};

Result<Seen> see(OpenLedger& opened, bool repair) {
  Result<gpu::Inventory> inventory = opened.look();
  if (!inventory) return fail(inventory.error());
  Result<lease::View> view = repair ? opened.ledger().repair() : opened.ledger().view();
  if (!view) return fail(view.error());
  return Seen{std::move(*inventory), std::move(*view)};
}

int exit_code_of(const Seen& seen) {
  const bool partial = !seen.inventory.problems.empty() || !seen.view.problems.empty() ||
                       !lease::lost_units(seen.inventory.gpus, seen.view).empty();
  return partial ? 4 : seen.inventory.gpus.empty() ? 1 : 0;
}

int answer(const Context& context, OpenLedger& opened, const Seen& seen) {
  const int code = exit_code_of(seen);
  if (context.json)
    return print(to_text(status_json(seen.inventory, seen.view, opened.ledger().path())), code);
  for (const Error& each : seen.view.problems) complain(printable(each.message()));
  for (const lease::LostUnit& each : lease::lost_units(seen.inventory.gpus, seen.view))
    complain(printable(lease::words_of(each)));
  for (const std::string& each : seen.view.repaired) complain("repaired: " + printable(each));
  return print(status_text(seen.inventory, seen.view), code);
}

int history(const Context& context, OpenLedger& opened) {
  const Result<std::vector<std::string>> lines = opened.ledger().history();
  if (!lines) return complain(lines.error(), 3);
  if (context.json) {
    Json json = {{"schema", "gpuctl.history/1"}, {"events", Json::array()}};
    for (const std::string& line : *lines) {
      Json event = Json::parse(line, nullptr, false);
      if (event.is_object()) json["events"].push_back(std::move(event));
    }
    return print(to_text(json), 0);
  }
  std::string text;
  for (const std::string& line : *lines) text += history_line(line);
  return print(text, 0);
}

void wait_for_change(lease::Ledger& ledger) {
  pollfd waiting{ledger.watch_fd(), POLLIN, 0};
  ::poll(&waiting, 1, waiting.fd >= 0 ? kLookAgainMs : kLookAgainUnwatchedMs);
  ledger.drain_watch();
}

// One JSON object a change, the first at once; `--count` of them, else until nobody reads.
int watch(OpenLedger& opened, std::uint64_t count) {
  std::string before;
  opened.ledger().watch_fd();
  for (std::uint64_t told = 0; count == 0 || told < count;) {
    const Result<Seen> seen = see(opened, false);
    if (!seen) return complain(seen.error(), ledger_exit_code(seen.error()));
    const std::string line =
        to_line(status_json(seen->inventory, seen->view, opened.ledger().path()));
    if (line != before) {
      if (const int code = print(line, 0); code != 0) return code;
      before = line;
      ++told;
      continue;
    }
    wait_for_change(opened.ledger());
  }
  return 0;
}

Result<std::uint64_t> count_of(const Invocation& invocation) {
  const std::optional<std::string> text = invocation.last("count");
  if (!text) return std::uint64_t{0};
  return parse_unsigned(*text, "`--count`", 10, 1'000'000'000);
}

}  // namespace

int run_status(const Context& context) {
  const Invocation& invocation = context.invocation;
  if (!invocation.operands.empty()) {
    complain("`status` takes no operand, got `" + printable(invocation.operands.front()) + "`");
    return 2;
  }
  const Result<std::uint64_t> count = count_of(invocation);
  if (!count) return complain(count.error(), 2);
  Result<std::unique_ptr<OpenLedger>> opened = OpenLedger::open(context);
  if (!opened) return complain(opened.error(), ledger_exit_code(opened.error()));
  if (invocation.has("history")) return history(context, **opened);
  if (invocation.has("watch")) return watch(**opened, *count);
  const Result<Seen> seen = see(**opened, invocation.has("repair"));
  if (!seen) return complain(seen.error(), ledger_exit_code(seen.error()));
  return answer(context, **opened, *seen);
}

}  // namespace gpuctl::app
