#include <algorithm>

#include "kernels/common/f32_product.cuh"
#include "kernels/common/ordered_sum.cuh"
#include "kernels/common/workspace.h"
#include "kernels/grouped_linear/grouped_linear.h"

namespace roap::cuda {

namespace {

using P = F32Product;

/// Sums over rows run piece by piece: a piece is the rows of a group, or some of a single group's. In dy and y the rows
/// of piece p begin at row p * rows.
struct Pieces {
  std::int64_t rows = 0, count = 0;
  explicit Pieces(const GroupedLinearDims& d) : rows(d.rows), count(d.groups) {
    if (d.groups > 1) return;
    constexpr std::int64_t kLeastRows = 512, kMost = 64;
    rows = std::max(kLeastRows, pieces_of(d.rows, kMost));
    count = pieces_of(d.rows, rows);
  }
};

/// Partial gradients, where several groups or pieces make up one.
struct Workspace {
  float *dx, *dw, *db;
  std::size_t bytes;
  Workspace(const GroupedLinearDims& d, std::byte* base) {
    const Pieces pieces(d);
    const bool split = d.groups == 1 && pieces.count > 1;
    WorkspaceCutter cutter(base);
    dx = cutter.take<float>(d.shared_x && d.groups > 1 ? d.groups * d.rows * d.in : 0);
    dw = cutter.take<float>((d.shared_w && d.groups > 1) || split ? pieces.count * d.out * d.in : 0);
    db = cutter.take<float>(split ? pieces.count * d.out : 0);
    bytes = cutter.bytes();
  }
};

/// A block's tile: of which group or piece, and its first row and column.
struct Tile {
  std::int64_t group;
  int row, column;
};

__device__ __forceinline__ Tile tile_of_block(int rows, int columns) {
  const unsigned across = (columns + P::kTile - 1) / P::kTile, down = (rows + P::kTile - 1) / P::kTile;
  return {blockIdx.x / across / down, static_cast<int>(blockIdx.x / across % down) * P::kTile,
          static_cast<int>(blockIdx.x % across) * P::kTile};
}

LaunchShape tiles(std::int64_t groups, std::int64_t rows, std::int64_t columns) {
  return {.grid = static_cast<unsigned>(groups) * f32_product_tiles(rows) * f32_product_tiles(columns),
          .block = P::kThreads};
}

/// dy where the ReLU, if any, let it through.
__device__ __forceinline__ float masked(const float* dy, const float* y, std::int64_t element) {
  return y == nullptr || y[element] > 0 ? dy[element] : 0.0f;
}

/// Computes  y[g, r, o] = f(sum_i x[g, r, i] w[g, o, i] + b[g, o])
/// Shapes    x [groups, rows, in] or [rows, in], w [groups, out, in] or [out, in], b [groups, out] or null; any sizes
/// Mapping   a block owns 64 rows by 64 outputs of a group, a thread 4 x 4 of them
/// Memory    of a group: x is read out / 64 times, w rows / 64 times (L2), y written once
/// Numerics  f32, i ascending, the bias last
/// Limits    rows, in and out below 2^31, as the number of tiles
__global__ void __launch_bounds__(P::kThreads)
    grouped_linear_forward_kernel(GroupedLinearDims d, bool relu, const float* x, const float* w, const float* b,
                                  float* y) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  const Tile tile = tile_of_block(rows, out);
  x += tile.group * d.x_group();
  w += tile.group * d.w_group();
  multiply_f32_tile<ReadAlong::k, ReadAlong::k>(
      in,
      [&](int r, int i) {
        return tile.row + r < rows && i < in ? x[static_cast<std::int64_t>(tile.row + r) * in + i] : 0.0f;
      },
      [&](int o, int i) {
        return tile.column + o < out && i < in ? w[static_cast<std::int64_t>(tile.column + o) * in + i] : 0.0f;
      },
      [&](int r, int o, float sum) {
        if (tile.row + r >= rows || tile.column + o >= out) return;
        const float value = sum + (b != nullptr ? b[tile.group * out + tile.column + o] : 0.0f);
        // A comparison that lets NaN through: it must reach the loss, where it is noticed.
        y[(tile.group * rows + tile.row + r) * out + tile.column + o] = relu && value < 0 ? 0.0f : value;
      });
}

/// Computes  dx[g, r, i] (+)= sum_o dz[g, r, o] w[g, o, i], dz being dy where y > 0 (or y is null)
/// Shapes    dy, y [groups, rows, out], w [groups, out, in] or [out, in], dx [groups, rows, in]; any sizes
/// Mapping   a block owns 64 rows by 64 inputs of a group, a thread 4 x 4 of them
/// Memory    of a group: dy and y are read in / 64 times, w rows / 64 times (L2), dx written once
/// Numerics  f32, o ascending
/// Limits    as forward
__global__ void __launch_bounds__(P::kThreads)
    grouped_linear_backward_data_kernel(GroupedLinearDims d, const float* dy, const float* y, const float* w, float* dx,
                                        bool accumulate) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  const Tile tile = tile_of_block(rows, in);
  w += tile.group * d.w_group();
  multiply_f32_tile<ReadAlong::k, ReadAlong::rows>(
      out,
      [&](int r, int o) {
        if (tile.row + r >= rows || o >= out) return 0.0f;
        return masked(dy, y, (tile.group * rows + tile.row + r) * out + o);
      },
      [&](int i, int o) {
        return tile.column + i < in && o < out ? w[static_cast<std::int64_t>(o) * in + tile.column + i] : 0.0f;
      },
      [&](int r, int i, float sum) {
        if (tile.row + r >= rows || tile.column + i >= in) return;
        float& target = dx[(tile.group * rows + tile.row + r) * in + tile.column + i];
        target = accumulate ? target + sum : sum;
      });
}

/// Computes  dw[p, o, i] = sum over the rows of piece p of dz[r, o] x[r, i]
/// Shapes    dy, y [groups, rows, out], x [groups, rows, in] or [rows, in], dw [pieces, out, in]; any sizes
/// Mapping   a block owns 64 outputs by 64 inputs of a piece, a thread 4 x 4 of them
/// Memory    of a piece: dy and y are read in / 64 times, x out / 64 times (L2), dw written once
/// Numerics  f32, r ascending
/// Limits    as forward
__global__ void __launch_bounds__(P::kThreads)
    grouped_linear_backward_weight_kernel(GroupedLinearDims d, Pieces pieces, const float* dy, const float* y,
                                          const float* x, float* dw) {
  const int in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  const Tile tile = tile_of_block(out, in);
  const std::int64_t first = tile.group * pieces.rows;
  const int rows = static_cast<int>(min(pieces.rows, d.groups * d.rows - first));
  x += d.shared_x && d.groups > 1 ? 0 : first * in;
  multiply_f32_tile<ReadAlong::rows, ReadAlong::rows>(
      rows,
      [&](int o, int r) {
        return tile.row + o < out && r < rows ? masked(dy, y, (first + r) * out + tile.row + o) : 0.0f;
      },
      [&](int i, int r) {
        return tile.column + i < in && r < rows ? x[static_cast<std::int64_t>(r) * in + tile.column + i] : 0.0f;
      },
      [&](int o, int i, float sum) {
        if (tile.row + o >= out || tile.column + i >= in) return;
        dw[(tile.group * out + tile.row + o) * in + tile.column + i] = sum;
      });
}

/// Computes  db[p, o] = sum over the rows of piece p of dz[r, o]
/// Shapes    dy, y [groups, rows, out], db [pieces, out]; any sizes
/// Mapping   a block owns 32 outputs of a piece
/// Memory    dy and y are read once, in lines of 128 bytes
/// Numerics  f32, in the order of column_sum
/// Limits    as forward
__global__ void __launch_bounds__(kColumnSumThreads)
    grouped_linear_backward_bias_kernel(GroupedLinearDims d, Pieces pieces, const float* dy, const float* y,
                                        float* db) {
  const unsigned across = static_cast<unsigned>((d.out + kColumnSumColumns - 1) / kColumnSumColumns);
  const std::int64_t piece = blockIdx.x / across, first = piece * pieces.rows;
  const std::int64_t o = static_cast<std::int64_t>(blockIdx.x % across) * kColumnSumColumns + column_of_sum();
  const float sum = column_sum(min(pieces.rows, d.groups * d.rows - first), [&](std::int64_t r) {
    return o < d.out ? masked(dy, y, (first + r) * d.out + o) : 0.0f;
  });
  if (threadIdx.x < kColumnSumColumns && o < d.out) db[piece * d.out + o] = sum;
}

void backward_data(const GroupedLinearDims& d, const GroupedLinearInputs& in, const GroupedLinearGradients& out,
                   float* parts, Stream stream) {
  const bool sum = d.shared_x && d.groups > 1;
  launch("grouped_linear_backward_data", tiles(d.groups, d.rows, d.in), stream, grouped_linear_backward_data_kernel, d,
         in.dy, in.y, in.w, sum ? parts : out.dx, out.accumulate_dx && !sum);
  if (!sum) return;
  ordered_sum("grouped_linear_sum_dx", d.groups, d.rows * d.in, parts, out.dx, out.accumulate_dx, stream);
}

void backward_weight(const GroupedLinearDims& d, const GroupedLinearInputs& in, float* dw, float* parts,
                     Stream stream) {
  const Pieces pieces(d);
  const bool sum = pieces.count > 1 && (d.shared_w || d.groups == 1);
  launch("grouped_linear_backward_weight", tiles(pieces.count, d.out, d.in), stream,
         grouped_linear_backward_weight_kernel, d, pieces, in.dy, in.y, in.x, sum ? parts : dw);
  if (sum) ordered_sum("grouped_linear_sum_dw", pieces.count, d.out * d.in, parts, dw, false, stream);
}

void backward_bias(const GroupedLinearDims& d, const GroupedLinearInputs& in, float* db, float* parts, Stream stream) {
  const Pieces pieces(d);
  const bool sum = pieces.count > 1 && d.groups == 1;
  const LaunchShape shape{.grid = static_cast<unsigned>(pieces.count) * column_sum_blocks(d.out),
                          .block = kColumnSumThreads};
  launch("grouped_linear_backward_bias", shape, stream, grouped_linear_backward_bias_kernel, d, pieces, in.dy, in.y,
         sum ? parts : db);
  if (sum) ordered_sum("grouped_linear_sum_db", pieces.count, d.out, parts, db, false, stream);
}

}  // namespace

void grouped_linear_forward(const GroupedLinearDims& d, const GroupedLinearParams& params, const float* x,
                            const float* w, const float* b, float* y, Stream stream) {
  launch("grouped_linear_forward", tiles(d.groups, d.rows, d.out), stream, grouped_linear_forward_kernel, d,
         params.relu, x, w, b, y);
}

std::size_t grouped_linear_backward_workspace(const GroupedLinearDims& d) { return Workspace(d, nullptr).bytes; }

void grouped_linear_backward(const GroupedLinearDims& d, const GroupedLinearInputs& in,
                             const GroupedLinearGradients& out, std::byte* workspace, Stream stream) {
  const Workspace part(d, workspace);
  if (out.dx != nullptr) backward_data(d, in, out, part.dx, stream);
  if (out.dw != nullptr) backward_weight(d, in, out.dw, part.dw, stream);
  if (out.db != nullptr) backward_bias(d, in, out.db, part.db, stream);
}

}  // namespace roap::cuda
