#pragma once

#include "kernels/common/simd_mask.h"
#include "kernels/point_mlp/point_mlp_tile.h"

// Layers 0 to 3 on the rows of one line (see point_mlp_isa.h), row by row in ascending y. Only for *_isa.cpp files.

namespace roap::cpu::ROAP_ISA {

using roap::simd::ROAP_ISA::sum;
using roap::simd::ROAP_ISA::true_lanes;

/// A unit that becomes positive: its three terms of a1. All negative where it becomes zero.
struct UnitChange {
  std::int32_t unit;
  float gamma_offset, gamma_direction, beta;
};

/// Layer 0's centred result is offset + (y - origin) * direction. The origin is where the line passes nearest to zero,
/// so that offset and direction are orthogonal: neither term of a row is then larger than their sum. Where a line
/// passes very near, the offset is what remains of large numbers: it is found in double.
struct Line {
  float *offset, *gamma_offset;                  // [stride]
  float *offset_sum, *direction_sum, *beta_sum;  // [stride]: layer 3's sums over the positive units; the last with b3
  float *rstd_dz2, *along_dz2, *dz2;             // [stride]: running sums over the rows so far
  float *rstd_share, *along_share, *beta_share;  // [stride]: w3 times such sums, over the rows where a unit is positive
  UnitChange* changes;                           // [stride]
  std::uint32_t* positive;                       // [stride / kLanes]: bits of the units that are positive now
  float origin, offset_square, offset_direction, direction_square;
};

static inline Line place_line(std::int64_t stride, float* scratch) {
  Line line{};
  float** arrays[] = {&line.offset,     &line.gamma_offset, &line.offset_sum, &line.direction_sum,
                      &line.beta_sum,   &line.rstd_dz2,     &line.along_dz2,  &line.dz2,
                      &line.rstd_share, &line.along_share,  &line.beta_share};
  for (float** array : arrays) {
    *array = scratch;
    scratch += stride;
  }
  line.changes = reinterpret_cast<UnitChange*>(scratch);
  scratch += stride * static_cast<std::int64_t>(sizeof(UnitChange) / sizeof(float));
  line.positive = reinterpret_cast<std::uint32_t*>(scratch);
  return line;
}

static inline void clear(float* values, std::int64_t stride) {
  for (std::int64_t k = 0; k < stride; k += kLanes) store(values + k, Vec{});
}

/// Symbol that input j > 0 of a pair's rows reads.
static inline float symbol_of(const PointMlpRowInputs& in, std::int64_t pair, std::int64_t j) {
  return in.s[pair * in.symbols + in.column[j - 1]];
}

/// The line of a pair, before its first row.
static inline void start_line(const PointMlpLayers& layers, const PointMlpRowInputs& in, std::int64_t pair,
                              Line& line) {
  const float* direction = layers.columns;
  const auto set_offset = [&](double origin) {
    for (std::int64_t k = 0; k < layers.stride; ++k) {
      double offset = layers.exact_bias[k] + origin * layers.exact_columns[k];
      for (std::int64_t j = 1; j < layers.in; ++j) {
        offset += symbol_of(in, pair, j) * layers.exact_columns[j * layers.stride + k];
      }
      line.offset[k] = static_cast<float>(offset);
    }
  };
  set_offset(0);
  Vec product{}, square{};
  for (std::int64_t k = 0; k < layers.stride; k += kLanes) {
    product += load(line.offset + k) * load(direction + k);
    square += load(direction + k) * load(direction + k);
  }
  constexpr float kNoDirection = 1e-30f;
  line.direction_square = sum(square);
  line.origin = line.direction_square < kNoDirection ? 0.0f : -sum(product) / line.direction_square;
  set_offset(line.origin);
  Vec offset_square{}, offset_direction{};
  for (std::int64_t k = 0; k < layers.stride; k += kLanes) {
    const Vec offset = load(line.offset + k);
    store(line.gamma_offset + k, load(layers.gamma1 + k) * offset);
    store(line.offset_sum + k, Vec{});
    store(line.direction_sum + k, Vec{});
    store(line.beta_sum + k, load(layers.b3 + k));
    offset_square += offset * offset;
    offset_direction += offset * load(direction + k);
  }
  line.offset_square = sum(offset_square);
  line.offset_direction = sum(offset_direction);
  for (std::int64_t v = 0; v < layers.stride / kLanes; ++v) line.positive[v] = 0;
}

/// The two numbers that tell a row from the others of its line.
struct LineRow {
  float rstd, along;  // LayerNorm's factor; the same times the distance from the origin
};

static inline LineRow row_at(const PointMlpLayers& layers, const Line& line, float y) {
  const float distance = y - line.origin;
  const float squares = line.offset_square + distance * (2 * line.offset_direction + distance * line.direction_square);
  const float variance = (squares < 0 ? 0.0f : squares) / static_cast<float>(layers.hidden);
  const float rstd = 1.0f / __builtin_sqrtf(variance + kPointMlpEpsilon);
  return {rstd, distance * rstd};
}

/// Calls visit(unit, became positive) for every unit whose bit differs.
template <class Visit>
static inline void for_each_change(const std::uint32_t* before, const std::uint32_t* after, std::int64_t vectors,
                                   Visit&& visit) {
  for (std::int64_t v = 0; v < vectors; ++v) {
    for (std::uint32_t changed = before[v] ^ after[v]; changed != 0; changed &= changed - 1) {
      const int lane = __builtin_ctz(changed);
      visit(v * kLanes + lane, (after[v] >> lane & 1u) != 0);
    }
  }
}

/// Adds what the changed units send to layer 3.
static inline void add_changes(const PointMlpLayers& layers, const Line& line, std::int64_t count) {
  constexpr int kWidth = 32 / kLanes;
  for (std::int64_t o = 0; o < layers.stride; o += kWidth * kLanes) {
    Vec offset_sum[kWidth], direction_sum[kWidth], beta_sum[kWidth];
    for (int v = 0; v < kWidth; ++v) {
      offset_sum[v] = load(line.offset_sum + o + v * kLanes);
      direction_sum[v] = load(line.direction_sum + o + v * kLanes);
      beta_sum[v] = load(line.beta_sum + o + v * kLanes);
    }
    for (const UnitChange* change = line.changes; change < line.changes + count; ++change) {
      const float* weights = layers.units + change->unit * layers.stride + o;
      for (int v = 0; v < kWidth; ++v) {
        const Vec weight = load(weights + v * kLanes);
        offset_sum[v] += splat(change->gamma_offset) * weight;
        direction_sum[v] += splat(change->gamma_direction) * weight;
        beta_sum[v] += splat(change->beta) * weight;
      }
    }
    for (int v = 0; v < kWidth; ++v) {
      store(line.offset_sum + o + v * kLanes, offset_sum[v]);
      store(line.direction_sum + o + v * kLanes, direction_sum[v]);
      store(line.beta_sum + o + v * kLanes, beta_sum[v]);
    }
  }
}

/// Brings the line's sums to a row: finds the units that are positive there and adds what changed.
static inline void go_to(const PointMlpLayers& layers, Line& line, LineRow row) {
  std::int64_t count = 0;
  for (std::int64_t v = 0; v < layers.stride / kLanes; ++v) {
    const std::int64_t k = v * kLanes;
    const Vec a1 = splat(row.along) * load(layers.gamma_direction + k) +
                   (splat(row.rstd) * load(line.gamma_offset + k) + load(layers.beta1 + k));
    const std::uint32_t positive = true_lanes(a1 > Vec{});
    for_each_change(line.positive + v, &positive, 1, [&](std::int64_t lane, bool on) {
      const float sign = on ? 1.0f : -1.0f;
      line.changes[count++] = {static_cast<std::int32_t>(k + lane), sign * line.gamma_offset[k + lane],
                               sign * layers.gamma_direction[k + lane], sign * layers.beta1[k + lane]};
    });
    line.positive[v] = positive;
  }
  if (count > 0) add_changes(layers, line, count);
}

/// z2 [stride] of the row that the line's sums stand at; `moving`, where it is not null, is z2 without what does not
/// depend on the row.
static inline void write_z2(const PointMlpLayers& layers, const Line& line, LineRow row, float* z2, float* moving) {
  for (std::int64_t o = 0; o < layers.stride; o += kLanes) {
    const Vec part = splat(row.rstd) * load(line.offset_sum + o) + splat(row.along) * load(line.direction_sum + o);
    if (moving != nullptr) store(moving + o, part);
    store(z2 + o, part + load(line.beta_sum + o));
  }
}

}  // namespace roap::cpu::ROAP_ISA
