#include "discover_options.hpp"

#include <fcntl.h>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::app {

Result<gpu::DiscoverOptions> discover_options(const Context& context) {
  gpu::DiscoverOptions options;
  const std::optional<std::string> file = context.config.text("pci_ids");
  if (!file) return options;
  options.pci_ids_files.clear();
  if (*file == "none") return options;
  const Result<Fd> readable = open_at(AT_FDCWD, *file, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!readable) return fail(readable.error());
  options.pci_ids_files.push_back(*file);
  return options;
}

}  // namespace gpuctl::app
