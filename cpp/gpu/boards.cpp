// How much memory a card has by its name alone: for NVIDIA's GPUs, of which no kernel file tells it, and for Intel's where
// the driver does not. AMD's driver always tells; without it, the board (subsystem id) does where one id covers several.
//
// Sizes are what the makers say (data sheets of the cards), binary, except where a card shows its programs much less:
// B200 180 of 192, GB200 186 of 192, B300 268 of 288 (nvidia-smi). Names that come with two sizes (RTX 3060, Arc A770)
// are left out: unknown is better than half the truth.
#include <algorithm>
#include <array>
#include <optional>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/catalogue.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

struct ModelMemory {
  const char* model;
  std::uint64_t gib;
};

constexpr ModelMemory kNvidiaMemory[] = {
    {"Tesla K20X", 6},
    {"Tesla K20Xm", 6},
    {"Tesla K20c", 5},
    {"Tesla K20m", 5},
    {"Tesla K40c", 12},
    {"Tesla K40m", 12},
    {"Tesla K80", 12},
    {"Tesla M4", 4},
    {"Tesla M6", 8},
    {"Tesla M60", 8},
    {"Tesla P4", 8},
    {"Tesla P6", 16},
    {"Tesla P40", 24},
    {"Quadro GP100", 16},
    {"Quadro P6000", 24},
    {"Quadro P5000", 16},
    {"Quadro P4000", 8},
    {"Quadro P2000", 5},
    {"Quadro P2200", 5},
    {"TITAN Xp", 12},
    {"TITAN V", 12},
    {"Quadro GV100", 32},
    {"TITAN RTX", 24},
    {"Tesla T4", 16},
    {"T4G", 16},
    {"Tesla T10", 16},
    {"Quadro RTX 6000", 24},
    {"Quadro RTX 5000", 16},
    {"Quadro RTX 4000", 8},
    {"A2", 16},
    {"A16", 16},
    {"A10", 24},
    {"A10G", 24},
    {"A30", 24},
    {"A30 PCIe", 24},
    {"A30X", 24},
    {"A40", 48},
    {"A100X", 80},
    {"CMP 170HX", 8},
    {"RTX A6000", 48},
    {"RTX A5500", 24},
    {"RTX A5000", 24},
    {"RTX A4500", 20},
    {"RTX A4000", 16},
    {"RTX A1000", 8},
    {"RTX A400", 4},
    {"L2", 24},
    {"L4", 24},
    {"L20", 48},
    {"L40", 48},
    {"L40G", 24},
    {"L40S", 48},
    {"RTX 6000 Ada Generation", 48},
    {"RTX 5880 Ada Generation", 48},
    {"RTX 5000 Ada Generation", 32},
    {"RTX 4500 Ada Generation", 24},
    {"RTX 4000 Ada Generation", 20},
    {"RTX 4000 SFF Ada Generation", 20},
    {"H100 PCIe", 80},
    {"H100 CNX", 80},
    {"H800", 80},
    {"H800 PCIe", 80},
    {"H20", 96},
    {"H200 NVL", 141},
    {"GH200 120GB", 96},
    {"480GB", 96},
    {"GH200 144G HBM3e", 144},
    {"B200", 180},
    {"HGX GB200", 186},
    {"B300 SXM6 AC", 268},
    {"RTX PRO 6000 Blackwell Workstation Edition", 96},
    {"RTX PRO 6000 Blackwell Max-Q Workstation Edition", 96},
    {"RTX PRO 6000 Blackwell Server Edition", 96},
    {"RTX PRO 5000 Blackwell", 48},
    {"GeForce RTX 5090", 32},
    {"GeForce RTX 5090 D", 32},
    {"GeForce RTX 5080", 16},
    {"GeForce RTX 5070 Ti", 16},
    {"GeForce RTX 5070", 12},
    {"GeForce RTX 4090", 24},
    {"GeForce RTX 4080", 16},
    {"GeForce RTX 4080 SUPER", 16},
    {"GeForce RTX 4070 Ti", 12},
    {"GeForce RTX 4070 Ti SUPER", 16},
    {"GeForce RTX 4070 SUPER", 12},
    {"GeForce RTX 4060", 8},
    {"GeForce RTX 3090", 24},
    {"GeForce RTX 3090 Ti", 24},
    {"GeForce RTX 3080 Ti", 12},
    {"GeForce RTX 3070", 8},
    {"GeForce RTX 3070 Ti", 8},
    {"GeForce RTX 2080 Ti", 11},
    {"GeForce RTX 2080 Ti Rev. A", 11},
    {"GeForce RTX 2080", 8},
    {"GeForce RTX 2080 Rev. A", 8},
    {"GeForce RTX 2080 SUPER", 8},
    {"GeForce RTX 2070 SUPER", 8},
    {"GeForce RTX 2060 SUPER", 8},
    {"GeForce GTX 1080 Ti", 11},
    {"GeForce GTX 1080", 8},
    {"GeForce GTX 1070 Ti", 8},
    {"GeForce GTX 1070", 8},
    {"GeForce GTX 1660", 6},
    {"GeForce GTX 1660 Ti", 6},
    {"GeForce GTX 1660 SUPER", 6},
};

constexpr ModelMemory kIntelMemory[] = {
    {"Data Center GPU Max 1550", 128},
    {"Data Center GPU Max 1450", 128},
    {"Data Center GPU Max 1350", 96},
    {"Data Center GPU Max 1100", 48},
    {"Data Center GPU Max 1100C", 48},
    {"Data Center GPU Flex 170", 16},
    {"Data Center GPU Flex 170V", 16},
    {"Data Center GPU Flex 140", 6},
    {"Arc B580", 12},
    {"Arc B570", 10},
    {"Arc A750", 8},
    {"Arc A580", 8},
    {"Arc A380", 6},
    {"Arc A310", 4},
    {"Arc Pro A60", 12},
};

struct Board {
  std::uint16_t vendor;
  std::uint16_t device;
  const char* subsystem_id;
  const char* model;
  std::uint64_t gib;
};

// 66a1: the id that pci.ids calls "Radeon Pro VII/Radeon Instinct MI50 32GB" is on 16 GB cards too (SKU D1640600).
constexpr std::array<Board, 1> kBoards{{
    {kVendorAmd, 0x66a1, "1002:081e", "Radeon Instinct MI50 16GB", 16},
}};

constexpr std::array<Board, 1> kBoardSizes{{
    {kVendorAmd, 0x66a1, "1002:0834", nullptr, 32},
}};

template <std::size_t N>
const Board* find_board(const std::array<Board, N>& boards, DeviceId id,
                        const std::optional<std::string>& subsystem_id) {
  const auto* found = std::find_if(boards.begin(), boards.end(), [&](const Board& each) {
    return each.vendor == id.vendor && each.device == id.device &&
           subsystem_id == each.subsystem_id;
  });
  return found == boards.end() ? nullptr : found;
}

template <std::size_t N>
std::optional<std::uint64_t> find_model(const ModelMemory (&rows)[N], std::string_view model) {
  const auto* row = std::find_if(std::begin(rows), std::end(rows),
                                 [&](const ModelMemory& each) { return model == each.model; });
  if (row == std::end(rows)) return std::nullopt;
  return row->gib;
}

// A table's word goes before a size in the name: the "480GB" of a GH200 is the processor's memory.
std::optional<std::uint64_t> gib_of(std::uint16_t vendor, std::string_view model) {
  const auto listed =
      vendor == kVendorNvidia ? find_model(kNvidiaMemory, model) : find_model(kIntelMemory, model);
  if (listed) return listed;
  if (const auto named = size_in_name(model)) return *named / kGib;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> nominal_memory(DeviceId id, const std::optional<std::string>& model,
                                            const std::optional<std::string>& subsystem_id) {
  for (const Board* board :
       {find_board(kBoards, id, subsystem_id), find_board(kBoardSizes, id, subsystem_id)}) {
    if (board != nullptr) return board->gib * kGib;
  }
  if (!model || (id.vendor != kVendorNvidia && id.vendor != kVendorIntel)) return std::nullopt;
  std::optional<std::uint64_t> agreed;
  for (const std::string_view part : split(*model, '/')) {
    const std::optional<std::uint64_t> gib = gib_of(id.vendor, trim(part));
    if (!gib || (agreed && *agreed != *gib)) return std::nullopt;
    agreed = gib;
  }
  if (!agreed) return std::nullopt;
  return *agreed * kGib;
}

std::optional<std::string> board_model(DeviceId id,
                                       const std::optional<std::string>& subsystem_id) {
  const Board* board = find_board(kBoards, id, subsystem_id);
  if (board == nullptr) return std::nullopt;
  return std::string(board->model);
}

}  // namespace gpuctl::gpu
