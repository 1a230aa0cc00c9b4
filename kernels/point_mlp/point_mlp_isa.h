#pragma once

#include <cstdint>

#include "kernels/common/isa.h"
#include "kernels/point_mlp/point_mlp.h"

// Vector kernels of point_mlp, compiled once per instruction set.
//
// Layers 0 to 3. The rows of one pair and group differ in y alone, so layer 0 maps them to points of a line, and its
// LayerNorm changes each only by a factor: a1[k] = relu(rstd * (gamma offset)[k] + along * (gamma direction)[k] +
// beta[k]) with two numbers rstd and along per row. In ascending y a unit k changes between zero and positive once or
// twice, so what layer 3 sums up over the positive units, for each of the three terms, is kept up to date with one
// column of w3 per change; a row costs three multiplications per output instead of one per weight. Backward is the
// transpose: every unit needs the sums of rstd dz2, along dz2 and dz2 over the rows where it is positive, which are
// differences of running sums.
//
// Layer 6 works on tiles of kTileRows rows, one row per vector lane: an activation of n features is [n, kTileRows]. So
// LayerNorm needs no sums across lanes, and a product is a broadcast weight times a vector of rows. Its weights are
// packed into panels, the outputs that one register tile computes.

namespace roap::cpu {

inline constexpr int kTileRows = 32;
inline constexpr std::int64_t kMaxPanel = 13;  ///< widest panel of any instruction set
inline constexpr std::int64_t kSumLanes = 16;  ///< stride of partial sums that are kept per lane
inline constexpr std::int64_t kMaxSlack = 64;  ///< floats that point_mlp_max may read behind the last row of results

/// The network as the kernels read it. `stride` is hidden rounded up to 32; arrays of that length end in zeros.
struct PointMlpLayers {
  std::int64_t in, hidden, features, stride;
  const double *exact_columns, *exact_bias;  ///< [in, stride], [stride]: w0 by columns and b0, each less its mean over
                                             ///< the units, which LayerNorm takes away
  const float* columns;                      ///< [in, stride]: the columns, rounded
  const float* gamma_direction;              ///< [stride]: gamma1 * columns[0]
  const float *gamma1, *beta1;               ///< [stride]
  const float* units;                        ///< [hidden, stride]: w3 transposed, what each unit sends to layer 3
  const float* b3;                           ///< [stride]
  const float *gamma4, *beta4;               ///< [hidden]
  const float* panels6;                      ///< b6 and w6 (forward only)
};

/// Rows of one group, as they are looked up.
struct PointMlpRowInputs {
  const float* y;              ///< of each row; ascending within a pair
  const std::int32_t* pair;    ///< of each row
  const float* s;              ///< [pairs, symbols]
  const std::int32_t* column;  ///< [in - 1]: columns of s
  std::int64_t symbols;
};

/// A matrix to be packed: element (output o, input k) at w[o * output_stride + k * input_stride]; bias may be null.
struct PanelSource {
  const float* w;
  const float* bias;
  std::int64_t outputs, inputs, output_stride, input_stride;
};

/// Rows segment[0] .. segment[segments] of one group. Every segment lies on one line and starts its sums afresh.
struct PointMlpForwardRows {
  PointMlpRowInputs in;
  const std::int32_t* segment;  ///< [segments + 1]: first row of each
  std::int64_t segments;
  float* scratch;  ///< point_mlp_forward_scratch()
  float* results;  ///< z3 [rows, result_stride] of these rows
  std::int64_t result_stride;
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

/// A feature that a row won, and the sum of dh over the tasks for which it did.
struct PointMlpEntry {
  std::int32_t feature;
  float dh;
};

/// Where one piece of the backward pass adds up gradients. Per-lane sums are [hidden, kSumLanes].
struct PointMlpSums {
  float* dunits;                  ///< [hidden, stride]: of w3, transposed
  float* dw6;                     ///< [features, stride]
  float *dgamma4, *dbeta4, *db3;  ///< per-lane sums
  float *dgamma1, *dbeta1, *db0;  ///< [stride]
  float* dw0;                     ///< [in, stride]: by columns
  float* ds;                      ///< [pairs, symbols]
};

/// Some winning rows of one group, in ascending order.
struct PointMlpBackwardRows {
  PointMlpRowInputs in;
  const std::int32_t* row;  ///< [rows]
  std::int64_t rows;
  const std::int32_t* entry_begin;  ///< [rows] into entries
  const std::int32_t* entry_end;    ///< [rows]
  const PointMlpEntry* entries;
  const float* w6;  ///< [features, stride], rows padded with zeros
  float* scratch;   ///< point_mlp_backward_scratch()
  PointMlpSums sums;
};

/// Size of an activation tile of n features: whole panels and whole vectors may be written.
static inline std::int64_t tile_floats(std::int64_t n) { return (n + 2 * 16) / 16 * 16 * kTileRows; }
/// Size of a packed matrix.
static inline std::int64_t panel_floats(std::int64_t outputs, std::int64_t inputs) {
  return (outputs + kMaxPanel) * (inputs + 1);
}
inline constexpr std::int64_t kLineFloats = 16;  ///< times stride: what is known of a line
inline constexpr std::int64_t kMaskFloats = 9;   ///< times stride: kTileRows + 1 bit masks of the units
static inline std::int64_t point_mlp_forward_scratch(std::int64_t stride, std::int64_t widest) {
  return (kLineFloats + kTileRows) * stride + 2 * tile_floats(widest);
}
static inline std::int64_t point_mlp_backward_scratch(std::int64_t stride) {
  return (kLineFloats + 2 * kTileRows + kMaskFloats) * stride + 3 * tile_floats(stride);
}

ROAP_ISA_DISPATCH(std::int64_t, point_mlp_panel, (), ())
/// Packs panels [begin, end): each holds its biases, then for every input the weights of its outputs (zeros at the
/// end).
ROAP_ISA_DISPATCH(void, point_mlp_pack,
                  (const PanelSource& source, std::int64_t begin, std::int64_t end, float* panels),
                  (source, begin, end, panels))
ROAP_ISA_DISPATCH(void, point_mlp_forward_rows, (const PointMlpLayers& layers, const PointMlpForwardRows& rows),
                  (layers, rows))
ROAP_ISA_DISPATCH(void, point_mlp_max, (const PointMlpMax& task), (task))
ROAP_ISA_DISPATCH(void, point_mlp_backward_rows, (const PointMlpLayers& layers, const PointMlpBackwardRows& rows),
                  (layers, rows))

}  // namespace roap::cpu
