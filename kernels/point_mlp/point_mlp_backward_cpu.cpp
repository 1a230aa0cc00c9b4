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
constexpr std::int64_t kLaneSumArrays = 6;  // dgamma1, dbeta1, db0, dgamma4, dbeta4, db3

struct Backward {
  PointMlpRows rows;
  PointMlpWinners winners;
  float *panels3, *panels3_transposed, *w6;
  float* dx;       // [groups, row_capacity, in - 1]
  float* scratch;  // [kMaxPieces, scratch_stride]
  float* sums;     // [kMaxPieces, sums_stride]
  std::int64_t scratch_stride, sums_stride, stride;
  std::int64_t pieces = 0;
};

Backward lay_out(const PointMlpDims& d, WorkspaceCutter& workspace) {
  Backward b;
  b.stride = round_up(d.hidden, 32);
  b.rows = take_point_mlp_rows(d, workspace);
  b.winners = take_point_mlp_winners(d, workspace);
  b.panels3 = workspace.take<float>(panel_floats(d.hidden, d.hidden));
  b.panels3_transposed = workspace.take<float>(panel_floats(d.hidden, d.hidden));
  b.w6 = workspace.take<float>(d.features * b.stride);
  b.dx = workspace.take<float>(d.groups * b.winners.row_capacity * (d.in - 1));
  b.scratch_stride = kBackwardBuffers * tile_floats(d.hidden) + 2 * d.in * kTileRows;
  b.scratch = workspace.take<float>(kMaxPieces * b.scratch_stride);
  b.sums_stride = (d.hidden + kMaxPanel + d.features) * b.stride + (kLaneSumArrays + d.in) * d.hidden * kSumLanes;
  b.sums = workspace.take<float>(kMaxPieces * b.sums_stride);
  return b;
}

PointMlpSums sums_of_piece(const PointMlpDims& d, const Backward& b, std::int64_t piece) {
  PointMlpSums sums;
  const std::int64_t lanes = d.hidden * kSumLanes;
  sums.dw3 = b.sums + piece * b.sums_stride;
  sums.dw6 = sums.dw3 + (d.hidden + kMaxPanel) * b.stride;
  float* lane_sums = sums.dw6 + d.features * b.stride;
  for (float** array : {&sums.dgamma1, &sums.dbeta1, &sums.db0, &sums.dgamma4, &sums.dbeta4, &sums.db3, &sums.dw0}) {
    *array = lane_sums;
    lane_sums += lanes;
  }
  return sums;
}

void pack(const PointMlpDims& d, const PointMlpWeights<const float>& w, const Backward& b) {
  pack_point_mlp({w.w3, w.b3, d.hidden, d.hidden, d.hidden, 1}, b.panels3);
  pack_point_mlp({w.w3, nullptr, d.hidden, d.hidden, 1, d.hidden}, b.panels3_transposed);
  for (std::int64_t f = 0; f < d.features; ++f) {
    float* row = b.w6 + f * b.stride;
    std::copy_n(w.w6 + f * d.hidden, d.hidden, row);
    std::fill(row + d.hidden, row + b.stride, 0.0f);
  }
}

/// Tiles [first, last) of group g, by one piece.
void backward_tiles(const PointMlpDims& d, const PointMlpInputs<float>& in, const PointMlpLayers& layers,
                    const Backward& b, std::int64_t g, std::int64_t piece, std::int64_t first, std::int64_t last) {
  const std::int64_t capacity = b.winners.row_capacity;
  const std::int32_t* rows = b.winners.row + g * capacity;
  float* x = b.scratch + piece * b.scratch_stride;
  float* dx = x + d.in * kTileRows;
  PointMlpBackwardTile tile{};
  tile.x = x;
  tile.entries = b.winners.entries + g * b.winners.entry_capacity;
  tile.w6 = b.w6;
  tile.panels3_transposed = b.panels3_transposed;
  tile.stride = b.stride;
  tile.dx = dx;
  tile.scratch = dx + d.in * kTileRows;
  tile.sums = sums_of_piece(d, b, piece);
  for (std::int64_t row = first * kTileRows; row < std::min<std::int64_t>(b.winners.count[g], last * kTileRows);
       row += kTileRows) {
    tile.rows = std::min<std::int64_t>(kTileRows, b.winners.count[g] - row);
    tile.entry_begin = b.winners.entry_begin + g * capacity + row;
    tile.entry_end = b.winners.entry_end + g * capacity + row;
    for (std::int64_t lane = 0; lane < kTileRows; ++lane) {
      const std::int32_t r = rows[row + std::min(lane, tile.rows - 1)];
      gather_point_mlp_row(d, in, g, b.rows.y[r], b.rows.pair[r], lane, x);
    }
    point_mlp_backward_tile(layers, tile);
    float* row_dx = b.dx + (g * capacity + row) * (d.in - 1);
    for (std::int64_t j = 1; j < d.in; ++j) {
      for (std::int64_t lane = 0; lane < tile.rows; ++lane)
        row_dx[lane * (d.in - 1) + j - 1] = dx[j * kTileRows + lane];
    }
  }
}

void backward_rows(const PointMlpDims& d, const PointMlpInputs<float>& in, Backward& b) {
  const PointMlpLayers layers = point_mlp_layers(d, in.w, b.panels3, nullptr);
  std::int64_t most_tiles = 0;
  for (std::int64_t g = 0; g < d.groups; ++g) {
    most_tiles = std::max(most_tiles, pieces_of(b.winners.count[g], kTileRows));
  }
  b.pieces = std::min(kMaxPieces, pieces_of(most_tiles, kTilesPerPiece));
  parallel_for(b.pieces, [&](std::int64_t piece) {
    std::fill_n(b.sums + piece * b.sums_stride, b.sums_stride, 0.0f);
    for (std::int64_t g = 0; g < d.groups; ++g) {
      const std::int64_t tiles = pieces_of(b.winners.count[g], kTileRows);
      backward_tiles(d, in, layers, b, g, piece, piece * tiles / b.pieces, (piece + 1) * tiles / b.pieces);
    }
  });
}

/// out [rows, columns] = sum over pieces of their sums at `part` (row stride `stride`).
void add_pieces(const Backward& b, const float* part, std::int64_t rows, std::int64_t columns, float* out) {
  constexpr std::int64_t kRowGrain = 16;
  if (out == nullptr) return;
  parallel_ranges(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      std::copy_n(part + r * b.stride, columns, out + r * columns);
      for (std::int64_t piece = 1; piece < b.pieces; ++piece) {
        const float* more = part + piece * b.sums_stride + r * b.stride;
        for (std::int64_t c = 0; c < columns; ++c) out[r * columns + c] += more[c];
      }
    }
  });
}

/// out[k * out_stride] = sum over pieces and lanes.
void add_lanes(const Backward& b, const float* part, std::int64_t count, float* out, std::int64_t out_stride) {
  if (out == nullptr) return;
  for (std::int64_t k = 0; k < count; ++k) {
    float lanes[kSumLanes] = {};
    for (std::int64_t piece = 0; piece < b.pieces; ++piece) {
      const float* more = part + piece * b.sums_stride + k * kSumLanes;
      for (std::int64_t lane = 0; lane < kSumLanes; ++lane) lanes[lane] += more[lane];
    }
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    out[k * out_stride] = sum;
  }
}

void output_bias_gradient(const PointMlpDims& d, const float* dh, float* db6) {
  if (db6 == nullptr) return;
  std::fill_n(db6, d.features, 0.0f);
  for (std::int64_t block = 0; block < d.tasks * d.groups; ++block) {
    for (std::int64_t f = 0; f < d.features; ++f) db6[f] += dh[block * d.features + f];
  }
}

void symbol_gradient(const PointMlpDims& d, const Backward& b, const std::int32_t* columns, float* ds,
                     bool accumulate) {
  if (ds == nullptr) return;
  if (!accumulate) std::fill_n(ds, d.pairs * d.symbols, 0.0f);
  for (std::int64_t g = 0; g < d.groups; ++g) {
    for (std::int64_t r = 0; r < b.winners.count[g]; ++r) {
      const std::int64_t at = g * b.winners.row_capacity + r;
      float* ds_row = ds + b.rows.pair[b.winners.row[at]] * d.symbols;
      for (std::int64_t j = 0; j < d.in - 1; ++j) ds_row[columns[g * (d.in - 1) + j]] += b.dx[at * (d.in - 1) + j];
    }
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
  pack(d, in.w, b);
  backward_rows(d, in, b);

  const PointMlpSums sums = sums_of_piece(d, b, 0);
  add_pieces(b, sums.dw3, d.hidden, d.hidden, dw.w3);
  add_pieces(b, sums.dw6, d.features, d.hidden, dw.w6);
  for (std::int64_t j = 0; j < d.in && dw.w0 != nullptr; ++j) {
    add_lanes(b, sums.dw0 + j * d.hidden * kSumLanes, d.hidden, dw.w0 + j, d.in);
  }
  add_lanes(b, sums.db0, d.hidden, dw.b0, 1);
  add_lanes(b, sums.dgamma1, d.hidden, dw.gamma1, 1);
  add_lanes(b, sums.dbeta1, d.hidden, dw.beta1, 1);
  add_lanes(b, sums.db3, d.hidden, dw.b3, 1);
  add_lanes(b, sums.dgamma4, d.hidden, dw.gamma4, 1);
  add_lanes(b, sums.dbeta4, d.hidden, dw.beta4, 1);
  output_bias_gradient(d, dh, dw.b6);
  symbol_gradient(d, b, in.columns, ds, accumulate);
}

}  // namespace roap::cpu
