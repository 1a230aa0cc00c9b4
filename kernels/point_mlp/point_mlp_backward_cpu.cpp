#include <algorithm>
#include <numeric>

#include "kernels/common/parallel.h"
#include "kernels/point_mlp/point_mlp_isa.h"
#include "kernels/point_mlp/point_mlp_pack.h"
#include "kernels/point_mlp/point_mlp_winners.h"
#include "kernels/point_mlp/point_mlp_workspace.h"

// Computes: gradients of the weights and of s, from the distinct winning rows only; their activations are computed
// again. Mapping: a piece owns a fixed range of each group's tiles and its own sums of the weight gradients. Memory:
// nothing is kept from the forward pass but h's index. Numerics: sums of the pieces are added in order; ds adds rows in
// order. The number of pieces depends on the data alone.

namespace roap::cpu {

namespace {

constexpr std::int64_t kMaxPieces = 16;
constexpr std::int64_t kTilesPerPiece = 8;  // at least, so that adding the sums of pieces stays cheap
constexpr std::int64_t kLaneSumArrays = 3;  // dgamma4, dbeta4, db3
constexpr std::int64_t kUnitSumArrays = 3;  // dgamma1, dbeta1, db0

struct Backward {
  PointMlpRows rows;
  PointMlpWinners winners;
  PointMlpPacked packed;
  float* w6;
  float* scratch;  // [kMaxPieces, scratch_stride]
  float* sums;     // [kMaxPieces, sums_stride]
  std::int64_t scratch_stride, sums_stride, stride;
  std::int64_t pieces = 0;
};

Backward lay_out(const PointMlpDims& d, WorkspaceCutter& workspace) {
  Backward b;
  b.rows = take_point_mlp_rows(d, workspace);
  b.winners = take_point_mlp_winners(d, workspace);
  b.packed = take_point_mlp_packed(d, workspace);
  b.stride = b.packed.stride;
  b.w6 = workspace.take<float>(d.features * b.stride);
  b.scratch_stride = point_mlp_backward_scratch(b.stride);
  b.scratch = workspace.take<float>(kMaxPieces * b.scratch_stride);
  b.sums_stride = (d.hidden + d.features + kUnitSumArrays + d.in) * b.stride + kLaneSumArrays * d.hidden * kSumLanes +
                  round_up(d.pairs * d.symbols, kSumLanes);
  b.sums = workspace.take<float>(kMaxPieces * b.sums_stride);
  return b;
}

PointMlpSums sums_of_piece(const PointMlpDims& d, const Backward& b, std::int64_t piece) {
  PointMlpSums sums;
  float* next = b.sums + piece * b.sums_stride;
  const auto take = [&](std::int64_t count) {
    float* array = next;
    next += count;
    return array;
  };
  sums.dunits = take(d.hidden * b.stride);
  sums.dw6 = take(d.features * b.stride);
  sums.dw0 = take(d.in * b.stride);
  for (float** array : {&sums.dgamma1, &sums.dbeta1, &sums.db0}) *array = take(b.stride);
  for (float** array : {&sums.dgamma4, &sums.dbeta4, &sums.db3}) *array = take(d.hidden * kSumLanes);
  sums.ds = take(d.pairs * d.symbols);
  return sums;
}

void backward_rows(const PointMlpDims& d, const PointMlpInputs<float>& in, const PointMlpLayers& layers, Backward& b) {
  std::int64_t most_tiles = 0;
  for (std::int64_t g = 0; g < d.groups; ++g) {
    most_tiles = std::max(most_tiles, pieces_of(b.winners.count[g], kTileRows));
  }
  b.pieces = std::min(kMaxPieces, pieces_of(most_tiles, kTilesPerPiece));
  parallel_for(b.pieces, [&](std::int64_t piece) {
    std::fill_n(b.sums + piece * b.sums_stride, b.sums_stride, 0.0f);
    for (std::int64_t g = 0; g < d.groups; ++g) {
      const std::int64_t count = b.winners.count[g], at = g * b.winners.row_capacity;
      const std::int64_t first = piece * count / b.pieces, end = (piece + 1) * count / b.pieces;
      point_mlp_backward_rows(layers, {point_mlp_row_inputs(d, in, b.rows, g), b.winners.row + at + first, end - first,
                                       b.winners.entry_begin + at + first, b.winners.entry_end + at + first,
                                       b.winners.entries + g * b.winners.entry_capacity, b.w6,
                                       b.scratch + piece * b.scratch_stride, sums_of_piece(d, b, piece)});
    }
  });
}

/// Row r of `part` (row stride b.stride), summed over the pieces: into piece 0.
void add_pieces(const Backward& b, float* part, std::int64_t rows) {
  constexpr std::int64_t kRowGrain = 16;
  parallel_ranges(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = 1; piece < b.pieces; ++piece) {
      const float* more = part + piece * b.sums_stride;
      for (std::int64_t k = begin * b.stride; k < end * b.stride; ++k) part[k] += more[k];
    }
  });
}

/// out[r * row_stride + c * column_stride] = the sum over pieces of part[r, c].
void write_pieces(const Backward& b, float* part, std::int64_t rows, std::int64_t columns, float* out,
                  std::int64_t row_stride, std::int64_t column_stride) {
  if (out == nullptr) return;
  add_pieces(b, part, rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) out[r * row_stride + c * column_stride] = part[r * b.stride + c];
  }
}

/// out[k] = sum over pieces and lanes.
void add_lanes(const Backward& b, const float* part, std::int64_t count, float* out) {
  if (out == nullptr) return;
  for (std::int64_t k = 0; k < count; ++k) {
    float lanes[kSumLanes] = {};
    for (std::int64_t piece = 0; piece < b.pieces; ++piece) {
      const float* more = part + piece * b.sums_stride + k * kSumLanes;
      for (std::int64_t lane = 0; lane < kSumLanes; ++lane) lanes[lane] += more[lane];
    }
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    out[k] = sum;
  }
}

void output_bias_gradient(const PointMlpDims& d, const float* dh, float* db6) {
  if (db6 == nullptr) return;
  std::fill_n(db6, d.features, 0.0f);
  for (std::int64_t block = 0; block < d.tasks * d.groups; ++block) {
    for (std::int64_t f = 0; f < d.features; ++f) db6[f] += dh[block * d.features + f];
  }
}

void symbol_gradient(const PointMlpDims& d, const Backward& b, const float* part, float* ds, bool accumulate) {
  if (ds == nullptr) return;
  const std::int64_t count = d.pairs * d.symbols;
  if (!accumulate) std::fill_n(ds, count, 0.0f);
  for (std::int64_t piece = 0; piece < b.pieces; ++piece) {
    for (std::int64_t k = 0; k < count; ++k) ds[k] += part[piece * b.sums_stride + k];
  }
}

}  // namespace

std::size_t point_mlp_backward_workspace(const PointMlpDims& d) {
  WorkspaceCutter workspace(nullptr);
  lay_out(d, workspace);
  return workspace.bytes();
}

std::int64_t point_mlp_backward_rows(const PointMlpDims& d, std::byte* workspace) {
  WorkspaceCutter cutter(workspace);
  const PointMlpWinners winners = lay_out(d, cutter).winners;
  return std::accumulate(winners.count, winners.count + d.groups, std::int64_t{0});
}

void point_mlp_backward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                        const float* dh, const std::int32_t* index, float* ds, bool accumulate,
                        const PointMlpWeights<float>& dw, std::byte* workspace) {
  WorkspaceCutter cutter(workspace);
  Backward b = lay_out(d, cutter);
  find_point_mlp_rows(d, options.share_rows, in.y, b.rows);
  find_point_mlp_winners(d, b.rows, dh, index, b.winners);
  for (std::int64_t f = 0; f < d.features; ++f) {
    pad_point_mlp_row(in.w.w6 + f * d.hidden, 1, d.hidden, b.stride, b.w6 + f * b.stride);
  }
  backward_rows(d, in, pack_point_mlp(d, in.w, b.packed), b);

  const PointMlpSums sums = sums_of_piece(d, b, 0);
  write_pieces(b, sums.dunits, d.hidden, d.hidden, dw.w3, 1, d.hidden);
  write_pieces(b, sums.dw6, d.features, d.hidden, dw.w6, d.hidden, 1);
  write_pieces(b, sums.dw0, d.in, d.hidden, dw.w0, 1, d.in);
  write_pieces(b, sums.db0, 1, d.hidden, dw.b0, 0, 1);
  write_pieces(b, sums.dgamma1, 1, d.hidden, dw.gamma1, 0, 1);
  write_pieces(b, sums.dbeta1, 1, d.hidden, dw.beta1, 0, 1);
  add_lanes(b, sums.db3, d.hidden, dw.b3);
  add_lanes(b, sums.dgamma4, d.hidden, dw.gamma4);
  add_lanes(b, sums.dbeta4, d.hidden, dw.beta4);
  output_bias_gradient(d, dh, dw.b6);
  symbol_gradient(d, b, sums.ds, ds, accumulate);
}

}  // namespace roap::cpu
