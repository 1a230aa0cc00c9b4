#include "kernels/common/convert.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/mma_pieces.cuh"
#include "kernels/common/ptx/mma.h"
#include "kernels/common/read_along.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/linear/linear_mma.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128, kDepth = 64;  // terms of the sums that are in shared memory at a time
constexpr int kWarpSide = 32;               // a warp computes a square of the result

/// How the four warps of a block share its tile: kSide x kSide elements of the result, a square for each warp; where
/// the tile is one square, every warp takes a quarter of the terms.
template <int kSide_>
struct Tile {
  static constexpr int kSide = kSide_, kWarpsAlong = kSide / kWarpSide;
  static constexpr int kParts = kThreads / kWarpSize / (kWarpsAlong * kWarpsAlong);  ///< of the sums
  static constexpr int kPartDepth = kDepth / kParts;
  static_assert(kParts * kPartDepth == kDepth && kPartDepth % 16 == 0);
  static constexpr int kPitch = kSide + 8;  ///< of sums in shared memory: rows that begin eight banks apart
  using Sums = float[kWarpSide / 16][kWarpSide / 8][4];
};
// Four stages of operands: two of each; sums take their place in the end.
constexpr int kStageElements = 64 * 64;
constexpr std::size_t kSharedBytes = sizeof(__nv_bfloat16) * 4 * kStageElements;
static_assert(sizeof(float) * Tile<64>::kParts * 64 * Tile<64>::kPitch <= kSharedBytes);
static_assert(sizeof(float) * Tile<32>::kParts * 32 * Tile<32>::kPitch <= kSharedBytes);

/// c [rows, columns] (+)= sum over k of a's row and b's row, + bias. Lines are what lies back to back in memory: rows
/// of an operand, or its k.
struct Operand {
  const float* data;
  int lines, line_size;
};
struct Product {
  Operand a, b;
  int rows, columns, depth;
  const float* bias;  ///< [columns] or null
  float* c;
  bool accumulate;
};

/// A block's slice of an operand on its way to shared memory: kSide of its rows at kDepth k, by lines. A thread owns
/// pieces of 8 numbers, which wait in registers for the barrier.
template <ReadAlong kOrder, int kSide, bool kVectors>
class OperandSlice {
 public:
  /// Operand elements of row `first_row` on, at `k` on; zero outside of the operand.
  __device__ __forceinline__ void load(const Operand& from, int first_row, int k) {
    const int first_line = (kOrder == ReadAlong::k ? first_row : k) + line_;
    const int column = (kOrder == ReadAlong::k ? k : first_row) + piece_ * kPiece;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int line = first_line + i * kLinesAtATime;
      const int count = line < from.lines ? from.line_size - column : 0;
      const float* at = from.data + static_cast<std::int64_t>(line) * from.line_size + column;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int inside = min(max(count - 4 * half, 0), 4);
        const Vector<float> v =
            kVectors && inside > 0 ? load_vector(at + 4 * half) : load_scalars(at + 4 * half, inside);
#pragma unroll
        for (int j = 0; j < 4; ++j) values_[i][4 * half + j] = v.values[j];
      }
    }
  }
  __device__ __forceinline__ void store(__nv_bfloat16* shared) const {
    __nv_bfloat16* at = shared + line_ * kDepth + (piece_ ^ line_ % 8) * kPiece;
#pragma unroll
    for (int i = 0; i < kLoads; ++i)
      store_vector(at + i * kLinesAtATime * kDepth, from_floats<__nv_bfloat16>(values_[i]));
  }

 private:
  static constexpr int kPieces = (kOrder == ReadAlong::k ? kDepth : kSide) / kPiece;  ///< of a line
  static constexpr int kLinesAtATime = kThreads / kPieces;
  static constexpr int kLoads = (kOrder == ReadAlong::k ? kSide : kDepth) / kLinesAtATime;
  static_assert(kLinesAtATime % 8 == 0 && kLoads * kLinesAtATime * kDepth <= kStageElements);

  int line_ = static_cast<int>(threadIdx.x) / kPieces, piece_ = static_cast<int>(threadIdx.x) % kPieces;
  float values_[kLoads][kPiece];
};

/// Adds a warp's terms of one slice to its sums; row, column and k are where its square and its part begin.
template <ReadAlong kOrderA, ReadAlong kOrderB, int kSide>
__device__ __forceinline__ void multiply_slice(typename Tile<kSide>::Sums& sums, const __nv_bfloat16* a,
                                               const __nv_bfloat16* b, int row, int column, int first_k) {
  constexpr int kPieces = kDepth / kPiece, kPairs = kWarpSide / 16;
#pragma unroll
  for (int i = 0; i < Tile<kSide>::kPartDepth; i += 16) {
    const int k = first_k + i;
    std::uint32_t of_a[kPairs][4], of_b[kPairs][4];
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      const int r = row + 16 * j, c = column + 16 * j;
      if constexpr (kOrderA == ReadAlong::k) {
        ptx::ldmatrix_x4(of_a[j], rows_first<kPieces>(a, r, k / kPiece));
      } else {
        ptx::ldmatrix_x4_trans(of_a[j], pieces_first<kPieces>(a, k, r / kPiece));
      }
      if constexpr (kOrderB == ReadAlong::k) {
        ptx::ldmatrix_x4(of_b[j], pieces_first<kPieces>(b, c, k / kPiece));
      } else {
        ptx::ldmatrix_x4_trans(of_b[j], rows_first<kPieces>(b, k, c / kPiece));
      }
    }
#pragma unroll
    for (int m = 0; m < kPairs; ++m) {
#pragma unroll
      for (int n = 0; n < 2 * kPairs; ++n) {
        ptx::mma_m16n8k16(sums[m][n], of_a[m], of_b[n / 2][n % 2 * 2], of_b[n / 2][n % 2 * 2 + 1]);
      }
    }
  }
}

/// Adds the parts of the sums in their order and writes the block's tile, coalesced.
template <int kSide>
__device__ __forceinline__ void store_tile(const typename Tile<kSide>::Sums& sums, const Product& p, int first_row,
                                           int first_column, int row, int column, int part) {
  using T = Tile<kSide>;
  float* stage = dynamic_shared<float>();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  float* of_warp = stage + (part * kSide + row + lane / 4) * T::kPitch + column + lane % 4 * 2;
  __syncthreads();  // the operands in this place have been read
#pragma unroll
  for (int m = 0; m < kWarpSide / 16; ++m) {
#pragma unroll
    for (int n = 0; n < kWarpSide / 8; ++n) {
      float* at = of_warp + 16 * m * T::kPitch + 8 * n;
      *reinterpret_cast<float2*>(at) = make_float2(sums[m][n][0], sums[m][n][1]);
      *reinterpret_cast<float2*>(at + 8 * T::kPitch) = make_float2(sums[m][n][2], sums[m][n][3]);
    }
  }
  __syncthreads();
  const int c = static_cast<int>(threadIdx.x) % kSide;
  if (first_column + c >= p.columns) return;
  const float bias = p.bias != nullptr ? p.bias[first_column + c] : 0.0f;
  const int rows = min(kSide, p.rows - first_row);
  for (int r = static_cast<int>(threadIdx.x) / kSide; r < rows; r += kThreads / kSide) {
    float sum = stage[r * T::kPitch + c];
#pragma unroll
    for (int other = 1; other < T::kParts; ++other) sum += stage[(other * kSide + r) * T::kPitch + c];
    float& target = p.c[static_cast<std::int64_t>(first_row + r) * p.columns + first_column + c];
    target = (p.accumulate ? target + sum : sum) + bias;
  }
}

/// Computes  c[m, n] (+)= sum_k a(m, k) b(n, k) + bias[n]
/// Shapes    Product; any sizes
/// Mapping   a block owns 64 x 64 elements of c, a warp 32 x 32 of them; or, where those are too few to fill a card, 32
///           x 32, and each warp a quarter of the terms
/// Memory    a is read columns / kSide times, b rows / kSide times (L2), c written once. While one slice of 64 terms is
///           multiplied, the next one is on its way to registers, where it is rounded to bf16
/// Numerics  bf16 products, f32 sums, k ascending; in the second form four sums of every fourth 16 terms; the bias last
/// Limits    sizes below 2^31
template <ReadAlong kOrderA, ReadAlong kOrderB, int kSide, bool kVectors>
__global__ void __launch_bounds__(kThreads) linear_mma_kernel(Product p) {
  using T = Tile<kSide>;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int part = warp / (T::kWarpsAlong * T::kWarpsAlong);
  const int row = warp / T::kWarpsAlong % T::kWarpsAlong * kWarpSide, column = warp % T::kWarpsAlong * kWarpSide;
  const int first_row = static_cast<int>(blockIdx.y) * kSide, first_column = static_cast<int>(blockIdx.x) * kSide;
  OperandSlice<kOrderA, kSide, kVectors> next_a;
  OperandSlice<kOrderB, kSide, kVectors> next_b;
  typename T::Sums sums = {};
  next_a.load(p.a, first_row, 0);
  next_b.load(p.b, first_column, 0);
  for (int k = 0; k < p.depth; k += kDepth) {
    auto* a = dynamic_shared<__nv_bfloat16>() + k / kDepth % 2 * 2 * kStageElements;
    auto* b = a + kStageElements;
    next_a.store(a);
    next_b.store(b);
    __syncthreads();  // the slice is there, and nobody reads the stage of the one before the last any more
    if (k + kDepth < p.depth) {
      next_a.load(p.a, first_row, k + kDepth);
      next_b.load(p.b, first_column, k + kDepth);
    }
    multiply_slice<kOrderA, kOrderB, kSide>(sums, a, b, row, column, part * T::kPartDepth);
  }
  store_tile<kSide>(sums, p, first_row, first_column, row, column, part);
}

template <ReadAlong kOrderA, ReadAlong kOrderB>
void launch_product(const char* name, const Product& p, Stream stream) {
  constexpr std::int64_t kEnoughBlocks = 132;
  const auto blocks = [&](int side) { return dim3(blocks_for(p.columns, side), blocks_for(p.rows, side)); };
  const auto with_side = [&]<int kSide>() {
    const auto with_vectors = [&]<bool kVectors>() {
      launch(name, {.grid = blocks(kSide), .block = kThreads, .shared_bytes = kSharedBytes}, stream,
             linear_mma_kernel<kOrderA, kOrderB, kSide, kVectors>, p);
    };
    const bool vectors = can_use_vectors(p.a.line_size, p.a.data) && can_use_vectors(p.b.line_size, p.b.data);
    vectors ? with_vectors.template operator()<true>() : with_vectors.template operator()<false>();
  };
  const dim3 large = blocks(64);
  const bool enough = static_cast<std::int64_t>(large.x) * large.y >= kEnoughBlocks;
  enough ? with_side.template operator()<64>() : with_side.template operator()<32>();
}

}  // namespace

void linear_forward_mma(const LinearDims& d, const float* x, const float* w, const float* b, float* y, Stream stream) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  launch_product<ReadAlong::k, ReadAlong::k>("linear_forward_mma",
                                             {{x, rows, in}, {w, out, in}, rows, out, in, b, y, false}, stream);
}

void linear_backward_data_mma(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate,
                              Stream stream) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  launch_product<ReadAlong::k, ReadAlong::rows>(
      "linear_backward_data_mma", {{dy, rows, out}, {w, out, in}, rows, in, out, nullptr, dx, accumulate}, stream);
}

void linear_backward_weight_mma(const LinearDims& d, const float* dy, const float* x, float* dw, Stream stream) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  launch_product<ReadAlong::rows, ReadAlong::rows>(
      "linear_backward_weight_mma", {{dy, rows, out}, {x, rows, in}, out, in, rows, nullptr, dw, false}, stream);
}

}  // namespace roap::cuda
