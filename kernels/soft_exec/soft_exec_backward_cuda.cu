#include "kernels/common/launch.h"
#include "kernels/common/ordered_sum.cuh"
#include "kernels/common/ptx/mma.h"
#include "kernels/common/reduce.cuh"
#include "kernels/soft_exec/soft_exec.h"
#include "kernels/soft_exec/soft_exec_lines.cuh"

namespace roap::cuda {

namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int kPairs = 2;  ///< of a thread: with 4 the unrolled code would exceed the instruction cache
constexpr int kPairsPerWarp = kWarpSize * kPairs;
constexpr int kPairsPerBlock = kWarps * kPairsPerWarp;
constexpr int kPitch = kPairsPerBlock + 4;  ///< fragments of neighbouring rows lie in different banks
constexpr int kLinesPerSum = 5;             ///< whose 15 sums are added up over the warp together

/// Shared memory of a block, in floats: the packed program, then rows [kRows][kPitch] with one column per pair: both
/// arguments' gradients of every line (first the arguments themselves), then the values.
template <class P>
struct Layout {
  static constexpr int kRowTiles = (2 * P::kLines + 15) / 16;    ///< 16 rows: the arguments of 8 lines
  static constexpr int kColumnTiles = (P::kValues - 1 + 7) / 8;  ///< 8 values; nobody reads the last line's
  static constexpr int kValueRows = 2 * P::kLines;               ///< first row of the values
  static constexpr int kRows = std::max(16 * kRowTiles, kValueRows + 8 * kColumnTiles);
  static constexpr int kSums = (P::kLines + kLinesPerSum - 1) / kLinesPerSum;
  static constexpr std::size_t kBytes = sizeof(float) * (P::kPacked + kRows * kPitch);

  // When all pairs are done, the rows' place takes what the warps found: weight sums [warp][rows][columns], then
  // operator sums [warp][kSums][16].
  static constexpr int kColumns = 8 * kColumnTiles, kWarpSums = 16 * kRowTiles * kColumns;
  static constexpr int kOperatorSums = kWarps * kWarpSums;
  static_assert(kOperatorSums + kWarps * kSums * 16 <= kRows * kPitch);

  /// Whether tile (row tile, column tile) of the weights' gradients has any that exists.
  ROAP_HOST_DEVICE static constexpr bool has(int row_tile, int column_tile) {
    const int last_line = 8 * row_tile + 7 < P::kLines ? 8 * row_tile + 7 : P::kLines - 1;
    return 8 * column_tile < P::kSymbols + last_line;
  }
};

/// Gradients that a warp collects over its pairs: of the argument weights in accumulators of matrix products, of the
/// operators as sums of g A, g B and g A B, each lane one of every 15.
template <class P>
struct WeightSums {
  float arguments[Layout<P>::kRowTiles][Layout<P>::kColumnTiles][4];
  float operators[Layout<P>::kSums];
};

/// Runs the program on a thread's pairs, whose columns of the rows begin at `column`, and keeps there the values and
/// both arguments of every line.
template <class P>
__device__ __forceinline__ void execute_and_keep(const float* packed, const float (&symbols)[P::kSymbols][kPairs],
                                                 float* column) {
  float values[P::kValues][kPairs];
  float* value_column = column + Layout<P>::kValueRows * kPitch;
#pragma unroll
  for (int j = 0; j < P::kSymbols; ++j) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      values[j][p] = symbols[j][p];
      value_column[j * kPitch + p * kWarpSize] = symbols[j][p];
    }
  }
  run_program<P, kPairs>(packed, values, [&](auto line, const float(&a)[kPairs], const float(&b)[kPairs]) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      column[2 * line * kPitch + p * kWarpSize] = a[p];
      column[(2 * line + 1) * kPitch + p * kWarpSize] = b[p];
      if constexpr (line < P::kLines - 1) {
        value_column[(P::kSymbols + line) * kPitch + p * kWarpSize] = values[P::kSymbols + line][p];
      }
    }
  });
}

/// Replaces both arguments of a line in the rows by their gradients, adds its part to the gradients of the values it
/// read, and to the sums g A, g B and g A B.
template <class P, int kLine>
__device__ __forceinline__ void sweep_line(const float* packed, float (&gradients)[P::kValues][kPairs], float* column,
                                           float& sum_a, float& sum_b, float& sum_ab) {
  const float4 o = *reinterpret_cast<const float4*>(packed + P::operators(kLine));
  float da[kPairs], db[kPairs];
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
    float &kept_a = column[2 * kLine * kPitch + p * kWarpSize], &kept_b = (&kept_a)[kPitch];
    const float g = gradients[P::kSymbols + kLine][p], a = kept_a, b = kept_b;
    kept_a = da[p] = g * (o.x + o.z * b);
    kept_b = db[p] = g * (o.y + o.z * a);
    sum_a += g * a;
    sum_b += g * b;
    sum_ab += g * (a * b);
  }
  for_each_choice<P, kLine>(packed, [&](int i, float left, float right) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      const float earlier = kLine == P::kLines - 1 ? 0.0f : gradients[i][p];
      gradients[i][p] = (earlier + left * da[p]) + right * db[p];
    }
  });
}

/// Sweeps back over the lines: `gradients` holds dyhat as the last value's gradient and gets those of all others; the
/// arguments in the rows are replaced by their gradients.
template <class P>
__device__ __forceinline__ void sweep_back(const float* packed, float (&gradients)[P::kValues][kPairs], float* column,
                                           float (&operator_sums)[Layout<P>::kSums]) {
  static_for<0, Layout<P>::kSums>([&](auto later) {
    constexpr int kGroup = Layout<P>::kSums - 1 - later, kFirst = kGroup * kLinesPerSum;
    constexpr int kEnd = kFirst + kLinesPerSum < P::kLines ? kFirst + kLinesPerSum : P::kLines;
    float sums[16] = {};
    static_for<0, kEnd - kFirst>([&](auto reverse) {
      constexpr int kLine = kEnd - 1 - reverse, kSlot = 3 * (kLine - kFirst);
      sweep_line<P, kLine>(packed, gradients, column, sums[kSlot], sums[kSlot + 1], sums[kSlot + 2]);
    });
    operator_sums[kGroup] += warp_sum_each(sums);
  });
}

/// x as the sum of two tf32 numbers, up to 2^-22 of it.
__device__ __forceinline__ void split_tf32(float x, std::uint32_t& high, std::uint32_t& low) {
  high = ptx::to_tf32(x);
  low = ptx::to_tf32(x - __uint_as_float(high));
}

/// sums[row, column] += sum over the warp's pairs of (gradient of argument `row`) (value `column`), as a product on
/// tensor cores that is as exact as one in f32: each factor is split in two, three of the four products are added.
template <class P>
__device__ __forceinline__ void add_weight_gradients(const float* rows,
                                                     float (&sums)[Layout<P>::kRowTiles][Layout<P>::kColumnTiles][4]) {
  using L = Layout<P>;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const float* own = rows + lane / 4 * kPitch + lane % 4;
#pragma unroll 1
  for (int k = 0; k < kPairsPerWarp; k += 8) {
    std::uint32_t high[L::kRowTiles][4], low[L::kRowTiles][4];
#pragma unroll
    for (int m = 0; m < L::kRowTiles; ++m) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        split_tf32(own[(16 * m + 8 * (e % 2)) * kPitch + k + 4 * (e / 2)], high[m][e], low[m][e]);
      }
    }
#pragma unroll
    for (int n = 0; n < L::kColumnTiles; ++n) {
      std::uint32_t value_high[2], value_low[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        split_tf32(own[(L::kValueRows + 8 * n) * kPitch + k + 4 * e], value_high[e], value_low[e]);
      }
#pragma unroll
      for (int m = 0; m < L::kRowTiles; ++m) {
        if (!L::has(m, n)) continue;
        ptx::mma_m16n8k8_tf32(sums[m][n], low[m], value_high[0], value_high[1]);
        ptx::mma_m16n8k8_tf32(sums[m][n], high[m], value_low[0], value_low[1]);
        ptx::mma_m16n8k8_tf32(sums[m][n], high[m], value_high[0], value_high[1]);
      }
    }
  }
}

/// Leaves a warp's sums in shared memory, see Layout.
template <class P>
__device__ __forceinline__ void store_sums(const WeightSums<P>& sums, float* memory) {
  using L = Layout<P>;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  float* own = memory + warp * L::kWarpSums + lane / 4 * L::kColumns + 2 * (lane % 4);
#pragma unroll
  for (int m = 0; m < L::kRowTiles; ++m) {
#pragma unroll
    for (int n = 0; n < L::kColumnTiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) own[(16 * m + 8 * (e / 2)) * L::kColumns + 8 * n + e % 2] = sums.arguments[m][n][e];
    }
  }
  if (lane % 2 != 0) return;
#pragma unroll
  for (int s = 0; s < L::kSums; ++s) {
    memory[L::kOperatorSums + (warp * L::kSums + s) * 16 + lane / 2] = sums.operators[s];
  }
}

/// Adds the warps' sums in their order and writes the gradients of a task's weights.
template <class P>
__device__ __forceinline__ void write_weight_gradients(const float* memory, float* dz, bool accumulate) {
  using L = Layout<P>;
  const auto over_warps = [&](int first, int stride) {
    float sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += memory[first + warp * stride];
    return sum;
  };
  for (int i = static_cast<int>(threadIdx.x); i < P::kWeights; i += kThreads) {
    float gradient = 0;
    if (i < 4 * P::kLines) {
      const int line = i / 4, kind = i % 4;
      const int slot = L::kOperatorSums + line / kLinesPerSum * 16 + 3 * (line % kLinesPerSum);
      gradient = over_warps(kind == 2 ? slot + 2 : slot, L::kSums * 16);  // sums of g A, g B and g A B
      if (kind < 2) gradient += (kind == 0 ? 1.0f : -1.0f) * over_warps(slot + 1, L::kSums * 16);
    } else {
      const int q = i - 4 * P::kLines, side = q >= P::kSide ? 1 : 0;
      const ArgumentPlace place = argument_place(P::kSymbols, q - side * P::kSide);
      gradient = over_warps((2 * place.line + side) * L::kColumns + place.choice, L::kWarpSums);
    }
    dz[i] = accumulate ? dz[i] + gradient : gradient;
  }
}

/// Computes  dz of every task, and dsymbols of every task and pair (soft_exec.h); dz may be null
/// Shapes    dyhat [T, B], z and dz [T, P], symbols [B, V], parts [T, B, V]; V and L known at compile time
/// Mapping   a block owns a task, a warp 64 of 256 pairs at a time, a thread 2 of them: forward again with all values
///           in registers, back with all their gradients in registers, then dW = [dA; dB] v' over the warp's pairs on
///           tensor cores. Warps meet only at the end
/// Memory    z once, symbols once per task (cache), dyhat, parts and dz once; 92 floats of shared memory per pair.
///           Bound by reads of shared memory (weights: 2 multiply-adds for each 4 bytes) and by issue
/// Numerics  f32 and products of split tf32 (error 2^-22 of each term); pairs of a thread, lanes and tiles in a fixed
///           tree, warps in order
/// Limits    the sizes of with_program
template <class P>
__global__ void __launch_bounds__(kThreads, 2)
    soft_exec_backward_kernel(int pairs, const float* dyhat, const float* z, const float* symbols, float* dz,
                              bool accumulate_z, float* parts) {
  float* packed = dynamic_shared<float>();
  float* rows = packed + P::kPacked;
  const std::int64_t task = blockIdx.x;
  pack_program<P, kThreads>(z + task * P::kWeights, packed);
  __syncthreads();
  const int warp = uniform_warp(), lane = static_cast<int>(threadIdx.x) % kWarpSize;
  WeightSums<P> sums{};
  for (int first = warp * kPairsPerWarp; first < pairs; first += kPairsPerBlock) {
    float* column = rows + warp * kPairsPerWarp + lane;
    float inputs[P::kSymbols][kPairs], gradients[P::kValues][kPairs];
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {  // pairs behind the last one are zeros and add nothing
      const int pair = first + p * kWarpSize + lane;
      gradients[P::kValues - 1][p] = pair < pairs ? dyhat[task * pairs + pair] : 0.0f;
#pragma unroll
      for (int j = 0; j < P::kSymbols; ++j)
        inputs[j][p] = pair < pairs ? __ldg(symbols + pair * P::kSymbols + j) : 0.0f;
    }
    __syncwarp();  // the rows are free
    execute_and_keep<P>(packed, inputs, column);
    sweep_back<P>(packed, gradients, column, sums.operators);
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      const int pair = first + p * kWarpSize + lane;
      if (pair >= pairs) continue;
#pragma unroll
      for (int j = 0; j < P::kSymbols; ++j) parts[(task * pairs + pair) * P::kSymbols + j] = gradients[j][p];
    }
    __syncwarp();
    add_weight_gradients<P>(rows + warp * kPairsPerWarp, sums.arguments);
  }
  if (dz == nullptr) return;
  __syncthreads();
  store_sums<P>(sums, rows);
  __syncthreads();
  write_weight_gradients<P>(rows, dz + task * P::kWeights, accumulate_z);
}

/// Bytes of dsymbols of every task; the workspace begins with them.
std::size_t parts_bytes(const SoftExecDims& d) {
  return sizeof(float) * static_cast<std::size_t>(d.tasks * d.pairs * d.layout.symbols);
}

}  // namespace

std::size_t soft_exec_backward_workspace(const SoftExecDims& d) {
  return parts_bytes(d) + (soft_exec_unrolled(d.layout) ? 0 : soft_exec_general_workspace(d, true));
}

void soft_exec_backward(const SoftExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace, Stream stream) {
  float* parts = workspace;
  const bool done = with_program(d.layout, [&]<class P>() {
    launch("soft_exec_backward",
           {.grid = static_cast<unsigned>(d.tasks), .block = kThreads, .shared_bytes = Layout<P>::kBytes}, stream,
           soft_exec_backward_kernel<P>, static_cast<int>(d.pairs), dyhat, z, symbols, dz, accumulate_z, parts);
  });
  if (!done) {
    soft_exec_general_backward(d, dyhat, z, symbols, dz, accumulate_z, parts,
                               workspace + parts_bytes(d) / sizeof(float), stream);
  }
  if (dsymbols == nullptr) return;
  ordered_sum("soft_exec_symbols", d.tasks, d.pairs * d.layout.symbols, parts, dsymbols, accumulate_symbols, stream);
}

}  // namespace roap::cuda
