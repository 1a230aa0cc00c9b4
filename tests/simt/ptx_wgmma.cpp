#include "kernels/common/ptx/wgmma.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "kernels/common/convert.cuh"
#include "tests/simt/collective.h"

// wgmma. A product is only noted when it is issued; it reads its operands and writes its result in the wait that covers
// its group. Until then the accumulators hold NaN in the threads' registers. Sums are plain f32 sums in ascending k.

namespace roap::simt {

namespace {

constexpr std::size_t kRows = 64, kDepth = 16;

struct WgmmaOperand {
  unsigned columns;
  float* d;
  const std::uint32_t* a_registers;  ///< null when A has a descriptor
  std::uint64_t a, b;
  bool mn_major, accumulate;
};

const WgmmaOperand& operand_of(const Warp* warps, unsigned thread) {
  return warps[thread / kLanes].operand<WgmmaOperand>(thread % kLanes);
}

/// First warp of the current warpgroup.
const Warp* current_warps() {
  const Warp& warp = *scheduler().current().warp;
  return &warp.block->warps[warp.index / 4 * 4];
}

/// Calls use(register, row, column) for the accumulators of a thread.
template <class Use>
void for_accumulators(unsigned thread, unsigned columns, Use use) {
  const unsigned lane = thread % kLanes, row = 16 * (thread / kLanes) + lane / 4;
  for (unsigned i = 0; i < columns / 2; ++i) use(i, row + (i % 4 >= 2 ? 8 : 0), i / 4 * 8 + lane % 4 * 2 + i % 2);
}

/// The accumulators that these registers are in flight as; takes their values and leaves poison if they are not yet.
Accumulators& find_or_add(Warpgroup& group, const Warp* warps, unsigned columns) {
  float* const first = operand_of(warps, 0).d;
  for (const auto& known : group.accumulators) {
    if (known->registers[0] == first && known->columns == columns) return *known;
  }
  Accumulators& added = *group.accumulators.emplace_back(std::make_unique<Accumulators>());
  added.columns = columns;
  added.values.resize(kRows * columns);
  for (unsigned thread = 0; thread < kWarpgroupThreads; ++thread) {
    float* const registers = added.registers[thread] = operand_of(warps, thread).d;
    for_accumulators(thread, columns, [&](unsigned i, unsigned row, unsigned column) {
      added.values[row * columns + column] = registers[i];
      registers[i] = std::numeric_limits<float>::quiet_NaN();
    });
  }
  return added;
}

/// A [kDepth][kRows] from the registers of all threads, as mma_m16n8k16 has it, 16 rows a warp.
std::vector<float> gather_a(const Warp* warps) {
  std::vector<float> a(kDepth * kRows);
  for (unsigned thread = 0; thread < kWarpgroupThreads; ++thread) {
    const unsigned lane = thread % kLanes;
    for (unsigned i = 0; i < 4; ++i) {
      const float2 pair = cuda::unpack_bf16(operand_of(warps, thread).a_registers[i]);
      const unsigned row = 16 * (thread / kLanes) + lane / 4 + i % 2 * 8, k = lane % 4 * 2 + i / 2 * 8;
      a[k * kRows + row] = pair.x;
      a[(k + 1) * kRows + row] = pair.y;
    }
  }
  return a;
}

/// Notes a product for the whole warpgroup; called by the last of its threads.
void issue(const Caller& caller) {
  Warpgroup& group = current_warpgroup();
  const Warp* warps = current_warps();
  const WgmmaOperand& mine = operand_of(warps, 0);
  for (unsigned thread = 1; thread < kWarpgroupThreads; ++thread) {
    const WgmmaOperand& other = operand_of(warps, thread);
    const bool agree = other.columns == mine.columns && other.a == mine.a && other.b == mine.b &&
                       other.mn_major == mine.mn_major && other.accumulate == mine.accumulate &&
                       (other.a_registers == nullptr) == (mine.a_registers == nullptr);
    if (!agree) {
      scheduler().fail(
          cudaErrorIllegalInstruction,
          fmt::format("threads 0 and {} of the warpgroup give wgmma different descriptors or shapes", thread), caller);
    }
  }
  if (!group.fenced) {
    scheduler().fail(cudaErrorIllegalInstruction, "wgmma without wgmma_fence since the kernel's start or the last wait",
                     caller);
  }
  Accumulators& accumulators = find_or_add(group, warps, mine.columns);
  ++accumulators.products;
  KernelCounts& counts = scheduler().counts();
  ++counts.wgmma;
  counts.multiplies += kRows * mine.columns * kDepth;
  group.open.push_back({&accumulators, mine.a_registers != nullptr ? gather_a(warps) : std::vector<float>(), mine.a,
                        mine.b, mine.mn_major, mine.accumulate, caller});
}

void multiply(WgmmaOperand mine, const Caller& caller) {
  if (!last_of_warpgroup("wgmma", &mine, caller)) return;
  issue(caller);
  release_warpgroup();
}

/// An operand in shared memory.
struct SharedOperand {
  std::uint64_t descriptor;
  bool mn_major;
  const char* name;
  const Caller& caller;

  [[nodiscard]] std::size_t field(unsigned bit) const { return (descriptor >> bit & 0x3fff) << 4; }  ///< in bytes
  [[nodiscard]] bool swizzled() const { return descriptor >> 62 == 1; }  ///< by 128 bytes; not at all else
  /// Where the piece of columns column ... column + 7 of a row is, before the swizzle.
  [[nodiscard]] std::size_t piece_at(std::size_t row, std::size_t column) const {
    const std::size_t group = field(0) + row / 8 * field(32), next = field(16), piece = column / 8;
    return swizzled() ? group + row % 8 * 128 + piece / 8 * next + piece % 8 * 16 : group + row % 8 * 16 + piece * next;
  }
};

/// Eight numbers of a row, from `place` on before the swizzle: to values[0], values[stride], ...
void read_piece(Block& block, const SharedOperand& operand, std::size_t row, std::size_t place, std::size_t stride,
                float* values) {
  if (operand.swizzled()) place ^= (place >> 7 & 7) << 4;
  if (scheduler().layout().find(place, 16) == nullptr) {
    std::string text =
        fmt::format("wgmma reads row {} of {} {}", row, operand.name, scheduler().layout().describe(place));
    scheduler().fail(cudaErrorIllegalAddress, std::move(text), operand.caller);
  }
  if (!block.async_view.readable(block.arena.data(), place)) {
    std::string text =
        fmt::format("wgmma reads {} at {}, which ordinary stores changed without fence_proxy_async after them",
                    operand.name, scheduler().layout().describe(place));
    scheduler().fail(cudaErrorIllegalInstruction, std::move(text), operand.caller);
  }
  const auto* numbers = reinterpret_cast<const __nv_bfloat16*>(block.arena.data() + place);
  for (std::size_t i = 0; i < 8; ++i) values[stride * i] = cuda::to_float(numbers[i]);
}

/// The operand as [kDepth][count], for `count` rows of A or columns of B.
void read_operand(const SharedOperand& operand, std::size_t count, float* values) {
  constexpr std::size_t kPiece = 8;
  Block& block = *scheduler().current().warp->block;
  const std::size_t rows = operand.mn_major ? kDepth : count, columns = operand.mn_major ? count : kDepth;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < columns; i += kPiece) {
      float* first = operand.mn_major ? values + row * count + i : values + i * count + row;
      read_piece(block, operand, row, operand.piece_at(row, i), operand.mn_major ? 1 : count, first);
    }
  }
}

void check_descriptor(const SharedOperand& operand) {
  const bool known = operand.swizzled() || (operand.descriptor >> 62 == 0 && !operand.mn_major);
  if (!known || (operand.descriptor >> 49 & 7) != 0) {
    scheduler().fail(
        cudaErrorNotSupported,
        fmt::format(
            "descriptor {:#x} of {}: the emulator knows the 128-byte swizzle without a base offset, and K-major "
            "operands without swizzle, only (wgmma_descriptor, wgmma_descriptor_of_pieces)",
            operand.descriptor, operand.name),
        operand.caller);
  }
  if (operand.mn_major && operand.field(0) % 1024 != 0) {
    scheduler().fail(cudaErrorNotSupported,
                     fmt::format("descriptor {:#x} of {}: rows of an MN-major operand begin in the middle of eight",
                                 operand.descriptor, operand.name),
                     operand.caller);
  }
}

/// Operands of the product that is being computed, here because reading them may fail.
std::vector<float> b_columns;

constexpr std::size_t kBlock = 16;  // columns whose sums stay in vector registers

/// d [kBlock] += a [kDepth]' b [kDepth][kBlock], rows of a kRows and rows of b `columns` apart.
void add_products(const float* a, const float* b, std::size_t columns, float* d) {
  float sums[kBlock];
  std::copy_n(d, kBlock, sums);
  for (std::size_t k = 0; k < kDepth; ++k) {
    for (std::size_t i = 0; i < kBlock; ++i) sums[i] += a[k * kRows] * b[k * columns + i];
  }
  std::copy_n(sums, kBlock, d);
}

void compute(Product& product) {
  const std::size_t columns = product.accumulators->columns;
  if (product.a_values.empty()) {
    const SharedOperand a{product.a, product.mn_major, "A", product.caller};
    check_descriptor(a);
    product.a_values.resize(kDepth * kRows);
    read_operand(a, kRows, product.a_values.data());
  }
  const SharedOperand b{product.b, product.mn_major, "B", product.caller};
  check_descriptor(b);
  b_columns.resize(kDepth * columns);
  read_operand(b, columns, b_columns.data());
  float* d = product.accumulators->values.data();
  if (!product.accumulate) std::fill_n(d, kRows * columns, 0.0f);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t column = 0; column < columns; column += kBlock) {
      add_products(&product.a_values[row], &b_columns[column], columns, d + row * columns + column);
    }
  }
}

/// Gives the threads their accumulators back once no product is in flight for them.
void finish(Warpgroup& group, Accumulators& accumulators) {
  if (--accumulators.products > 0) return;
  for (unsigned thread = 0; thread < kWarpgroupThreads; ++thread) {
    for_accumulators(thread, accumulators.columns, [&](unsigned i, unsigned row, unsigned column) {
      accumulators.registers[thread][i] = accumulators.values[row * accumulators.columns + column];
    });
  }
  std::erase_if(group.accumulators, [&](const auto& known) { return known.get() == &accumulators; });
}

void complete_groups(unsigned pending) {
  Warpgroup& group = current_warpgroup();
  while (group.groups.size() > pending) {
    for (Product& product : group.groups.front()) {
      compute(product);
      finish(group, *product.accumulators);
    }
    group.groups.erase(group.groups.begin());
  }
  group.fenced = false;
}

}  // namespace
}  // namespace roap::simt

namespace roap::ptx {

using simt::Caller;

void wgmma_fence(Caller caller) {
  if (!simt::last_of_warpgroup("wgmma_fence", nullptr, caller)) return;
  simt::current_warpgroup().fenced = true;
  simt::release_warpgroup();
}

void wgmma_commit_group(Caller caller) {
  if (!simt::last_of_warpgroup("wgmma_commit_group", nullptr, caller)) return;
  simt::Warpgroup& group = simt::current_warpgroup();
  group.groups.push_back(std::move(group.open));
  group.open.clear();
  simt::release_warpgroup();
}

void wgmma_wait(int pending, Caller caller) {
  if (!simt::last_of_warpgroup("wgmma_wait_group", nullptr, caller)) return;
  simt::complete_groups(static_cast<unsigned>(pending));
  simt::release_warpgroup();
}

void wgmma_m64n64k16(float (&d)[32], std::uint64_t a, std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({64, d, nullptr, a, b, false, accumulate}, caller);
}
void wgmma_m64n128k16(float (&d)[64], std::uint64_t a, std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({128, d, nullptr, a, b, false, accumulate}, caller);
}
void wgmma_m64n256k16(float (&d)[128], std::uint64_t a, std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({256, d, nullptr, a, b, false, accumulate}, caller);
}
void wgmma_m64n64k16(float (&d)[32], const std::uint32_t (&a)[4], std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({64, d, a, 0, b, false, accumulate}, caller);
}
void wgmma_m64n128k16(float (&d)[64], const std::uint32_t (&a)[4], std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({128, d, a, 0, b, false, accumulate}, caller);
}
void wgmma_m64n256k16(float (&d)[128], const std::uint32_t (&a)[4], std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({256, d, a, 0, b, false, accumulate}, caller);
}
void wgmma_m64n64k16_mn(float (&d)[32], std::uint64_t a, std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({64, d, nullptr, a, b, true, accumulate}, caller);
}
void wgmma_m64n128k16_mn(float (&d)[64], std::uint64_t a, std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({128, d, nullptr, a, b, true, accumulate}, caller);
}
void wgmma_m64n256k16_mn(float (&d)[128], std::uint64_t a, std::uint64_t b, bool accumulate, Caller caller) {
  simt::multiply({256, d, nullptr, a, b, true, accumulate}, caller);
}

}  // namespace roap::ptx
