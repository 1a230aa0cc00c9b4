#pragma once

#include <cstdint>

#include "kernels/common/isa.h"
#include "kernels/point_mlp/point_mlp.h"

// Vector kernels of point_mlp, compiled once per instruction set. They work on tiles of kTileRows rows, one row per
// vector lane: an activation of n features is [n, kTileRows]. So LayerNorm needs no sums across lanes, and a product is
// a broadcast weight times a vector of rows. Weights of a product are packed into panels, the outputs that one register
// tile computes.

namespace roap::cpu {

inline constexpr int kTileRows = 32;
inline constexpr std::int64_t kMaxPanel = 13;  ///< widest panel of any instruction set
inline constexpr std::int64_t kSumLanes = 16;  ///< stride of partial sums that are kept per lane
inline constexpr std::int64_t kMaxSlack = 64;  ///< floats that point_mlp_max may read behind the last row of results

/// The network as the tile kernels read it: small weights as they are, products as panels.
struct PointMlpLayers {
  std::int64_t in, hidden, features;
  const float *w0, *b0, *gamma1, *beta1, *gamma4, *beta4;
  const float* panels3;  ///< b3 and w3
  const float* panels6;  ///< b6 and w6 (forward only)
};

/// A matrix to be packed: element (output o, input k) at w[o * output_stride + k * input_stride]; bias may be null.
struct PanelSource {
  const float* w;
  const float* bias;
  std::int64_t outputs, inputs, output_stride, input_stride;
};

/// A feature that a row won, and the sum of dh over the tasks for which it did.
struct PointMlpEntry {
  std::int32_t feature;
  float dh;
};

/// The maximum over pairs [pair_begin, pair_end) for one task and one group.
struct PointMlpMax {
  const float* results;  ///< z3 of rows row_begin..., row stride `stride` (a multiple of 32)
  std::int64_t stride, row_begin;
  const std::int32_t* row_of;  ///< [pairs]: row of each pair
  std::int64_t pair_begin, pair_end, features;
  float* h;             ///< [features]
  std::int32_t* index;  ///< [features]
  bool first;           ///< nothing in h yet
};

/// Where one piece of the backward pass adds up weight gradients. Per-lane sums are [hidden, kSumLanes].
struct PointMlpSums {
  float* dw3;                                              ///< [hidden + kMaxPanel, stride]
  float* dw6;                                              ///< [features, stride]
  float *dgamma1, *dbeta1, *db0, *dgamma4, *dbeta4, *db3;  ///< per-lane sums
  float* dw0;                                              ///< [in] times per-lane sums
};

/// One tile of winning rows.
struct PointMlpBackwardTile {
  const float* x;                   ///< [in, kTileRows]
  std::int64_t rows;                ///< at most kTileRows
  const std::int32_t* entry_begin;  ///< [rows] into entries
  const std::int32_t* entry_end;    ///< [rows]
  const PointMlpEntry* entries;
  const float* w6;                  ///< [features, stride], rows padded with zeros
  const float* panels3_transposed;  ///< w3 transposed, without bias
  std::int64_t stride;              ///< hidden rounded up to 32
  float* dx;                        ///< [in, kTileRows]; row 0 (y) is not written. Null: not wanted
  float* scratch;                   ///< kBackwardBuffers * tile_floats(hidden)
  PointMlpSums sums;
};

inline constexpr int kForwardBuffers = 2;
inline constexpr int kBackwardBuffers = 7;
/// Size of an activation tile of n features: whole panels and whole vectors may be written.
static inline std::int64_t tile_floats(std::int64_t n) { return (n + 2 * 16) / 16 * 16 * kTileRows; }
/// Size of a packed matrix.
static inline std::int64_t panel_floats(std::int64_t outputs, std::int64_t inputs) {
  return (outputs + kMaxPanel) * (inputs + 1);
}

ROAP_ISA_DISPATCH(std::int64_t, point_mlp_panel, (), ())
/// Packs panels [begin, end): each holds its biases, then for every input the weights of its outputs (zeros at the
/// end).
ROAP_ISA_DISPATCH(void, point_mlp_pack,
                  (const PanelSource& source, std::int64_t begin, std::int64_t end, float* panels),
                  (source, begin, end, panels))
/// x [in, kTileRows] -> z3 of the first `rows` lanes: results [rows, stride].
ROAP_ISA_DISPATCH(void, point_mlp_forward_tile,
                  (const PointMlpLayers& layers, const float* x, std::int64_t rows, float* scratch, float* results,
                   std::int64_t stride),
                  (layers, x, rows, scratch, results, stride))
ROAP_ISA_DISPATCH(void, point_mlp_max, (const PointMlpMax& task), (task))
ROAP_ISA_DISPATCH(void, point_mlp_backward_tile, (const PointMlpLayers& layers, const PointMlpBackwardTile& tile),
                  (layers, tile))

}  // namespace roap::cpu
