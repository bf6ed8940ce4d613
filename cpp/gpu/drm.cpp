#include "gpuctl/gpu/drm.hpp"

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::string_view kCardPrefix = "card";
constexpr std::string_view kRenderPrefix = "renderD";

// "card10", not "card0-VGA-1".
bool is_minor(std::string_view name, std::string_view prefix) {
  return name.substr(0, prefix.size()) == prefix &&
         parse_unsigned(name.substr(prefix.size()), "DRM minor").has_value();
}

// "../../devices/pci0000:00/0000:00:03.1/0000:0a:00.0/drm/card0" -> 0000:0a:00.0
std::optional<PciAddress> address_in_link(const std::string& target) {
  const std::vector<std::string_view> parts = split(target, '/');
  if (parts.size() < 3 || parts[parts.size() - 2] != "drm") return std::nullopt;
  const Result<PciAddress> address = PciAddress::parse(parts[parts.size() - 3]);
  if (!address) return std::nullopt;
  return *address;
}

bool is_known(const Dir& drm, const std::string& name, const std::vector<PciAddress>& known) {
  const Result<std::optional<std::string>> target = drm.link_target(name);
  if (!target || !*target) return false;
  const std::optional<PciAddress> address = address_in_link(**target);
  return address && std::binary_search(known.begin(), known.end(), *address);
}

std::optional<DrmCard> read_card(const HostFs& fs, const std::string& name, ProblemSink& problems) {
  const Result<std::optional<Dir>> device =
      fs.open_dir_if_present(std::string(host_paths::kDrmClass) + "/" + name + "/device");
  if (!device) {
    problems.add(device.error());
    return std::nullopt;
  }
  if (!*device) return std::nullopt;
  DrmCard card{name, read_pci_identity(**device, problems), {}};
  if (!card.identity.is_complete())
    return std::nullopt;  // a platform or virtual device has no PCI files
  card.details = read_pci_details(**device, problems);
  if (card.details.drm_names.empty()) card.details.drm_names = {name};
  return card;
}

// Numbers by value: card2 before card10.
bool by_minor(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

}  // namespace

std::vector<DrmCard> read_orphan_cards(const HostFs& fs, const std::vector<PciAddress>& known,
                                       ProblemSink& problems) {
  std::vector<DrmCard> cards;
  const Result<std::optional<Dir>> drm = fs.open_dir_if_present(host_paths::kDrmClass);
  if (!drm) problems.add(drm.error());
  if (!drm || !*drm) return cards;
  const Result<std::vector<std::string>> names = (*drm)->names();
  if (!names) {
    problems.add(names.error());
    return cards;
  }
  for (const std::string& name : *names) {
    if (!is_minor(name, kCardPrefix) || is_known(**drm, name, known)) continue;
    if (std::optional<DrmCard> card = read_card(fs, name, problems))
      cards.push_back(std::move(*card));
  }
  std::sort(cards.begin(), cards.end(),
            [](const DrmCard& a, const DrmCard& b) { return by_minor(a.name, b.name); });
  return cards;
}

DrmNodes drm_nodes(const std::vector<std::string>& drm_names) {
  DrmNodes nodes;
  for (const std::string& name : drm_names) {
    if (is_minor(name, kRenderPrefix)) nodes.render.push_back(host_paths::kDriNodes + name);
    if (is_minor(name, kCardPrefix)) nodes.cards.push_back(host_paths::kDriNodes + name);
  }
  std::sort(nodes.render.begin(), nodes.render.end(), by_minor);
  std::sort(nodes.cards.begin(), nodes.cards.end(), by_minor);
  return nodes;
}

}  // namespace gpuctl::gpu
