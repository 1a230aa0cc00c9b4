#pragma once

#include "kernels/common/simd.h"
#include "kernels/common/simd_transpose.h"
#include "kernels/point_mlp/point_mlp_isa.h"

// Steps on tiles [features, kTileRows] that both directions of point_mlp share. Only for *_isa.cpp files.

namespace roap::cpu::ROAP_ISA {

using roap::simd::kLanes;
using roap::simd::ROAP_ISA::IntVec;
using roap::simd::ROAP_ISA::load;
using roap::simd::ROAP_ISA::splat;
using roap::simd::ROAP_ISA::store;
using roap::simd::ROAP_ISA::transpose;
using roap::simd::ROAP_ISA::Vec;

inline constexpr int kTileVectors = kTileRows / kLanes;
/// Outputs of one register tile: with 2 vectors of rows it fills the registers, and 20 panels of 13 waste little of
/// 256.
inline constexpr std::int64_t kPanel = kLanes == 16 ? 13 : 6;

static inline std::int64_t panels_of(std::int64_t outputs) { return (outputs + kPanel - 1) / kPanel; }

/// z [panel, kTileRows] = biases + weights a, a [depth, kTileRows]: the register tile, kPanel outputs by two vectors of
/// rows.
static inline void panel_product(const float* panel, std::int64_t depth, const float* a, float* z) {
  for (int c = 0; c < kTileRows; c += 2 * kLanes) {
    Vec sum[kPanel][2];
    for (int m = 0; m < kPanel; ++m) sum[m][0] = sum[m][1] = splat(panel[m]);
    const float* w = panel + kPanel;
    const float* rows = a + c;
    for (std::int64_t k = 0; k < depth; ++k, w += kPanel, rows += kTileRows) {
      const Vec a0 = load(rows), a1 = load(rows + kLanes);
      for (int m = 0; m < kPanel; ++m) {
        const Vec weight = splat(w[m]);
        sum[m][0] += weight * a0;
        sum[m][1] += weight * a1;
      }
    }
    for (int m = 0; m < kPanel; ++m) {
      store(z + m * kTileRows + c, sum[m][0]);
      store(z + m * kTileRows + c + kLanes, sum[m][1]);
    }
  }
}

/// z [outputs, kTileRows] = biases + weights a; whole panels of z are written.
static inline void product(const float* panels, std::int64_t outputs, std::int64_t depth, const float* a, float* z) {
  for (std::int64_t p = 0; p < panels_of(outputs); ++p) {
    panel_product(panels + p * kPanel * (depth + 1), depth, a, z + p * kPanel * kTileRows);
  }
}

/// Mean and 1 / sqrt(variance + epsilon) over the features, per row.
struct RowStatistics {
  Vec mean[kTileVectors], rstd[kTileVectors];
};

static inline Vec reciprocal_root(Vec x) {
  float lanes[kLanes];
  store(lanes, x);
  for (int i = 0; i < kLanes; ++i) lanes[i] = 1.0f / __builtin_sqrtf(lanes[i]);
  return load(lanes);
}

static inline RowStatistics row_statistics(const float* z, std::int64_t n) {
  const float scale = 1.0f / static_cast<float>(n);
  RowStatistics statistics;
  Vec sum[kTileVectors] = {};
  for (std::int64_t k = 0; k < n; ++k) {
    for (int v = 0; v < kTileVectors; ++v) sum[v] += load(z + k * kTileRows + v * kLanes);
  }
  Vec squares[kTileVectors] = {};
  for (int v = 0; v < kTileVectors; ++v) statistics.mean[v] = sum[v] * scale;
  for (std::int64_t k = 0; k < n; ++k) {
    for (int v = 0; v < kTileVectors; ++v) {
      const Vec centred = load(z + k * kTileRows + v * kLanes) - statistics.mean[v];
      squares[v] += centred * centred;
    }
  }
  for (int v = 0; v < kTileVectors; ++v) {
    statistics.rstd[v] = reciprocal_root(squares[v] * scale + splat(kPointMlpEpsilon));
  }
  return statistics;
}

/// a = relu(gamma * normalised + beta); a NaN stays a NaN. `normalised` is kept where it is not null; both may be z
/// itself.
static inline void normalise_relu(const RowStatistics& statistics, std::int64_t n, const float* gamma,
                                  const float* beta, const float* z, float* normalised, float* a) {
  for (std::int64_t k = 0; k < n; ++k) {
    const Vec g = splat(gamma[k]), b = splat(beta[k]);
    for (int v = 0; v < kTileVectors; ++v) {
      const std::int64_t at = k * kTileRows + v * kLanes;
      const Vec xhat = (load(z + at) - statistics.mean[v]) * statistics.rstd[v];
      if (normalised != nullptr) store(normalised + at, xhat);
      const Vec y = xhat * g + b;
      store(a + at, y < Vec{} ? Vec{} : y);
    }
  }
}

/// Tile z [n, kTileRows] -> rows [rows, stride]; whole vectors of features are written.
static inline void tile_to_rows(const float* z, std::int64_t n, std::int64_t rows, float* out, std::int64_t stride) {
  for (std::int64_t k = 0; k < n; k += kLanes) {
    for (std::int64_t r = 0; r < rows; r += kLanes) {
      Vec v[kLanes];
      for (int i = 0; i < kLanes; ++i) v[i] = load(z + (k + i) * kTileRows + r);
      transpose(v);
      for (int i = 0; i < kLanes && r + i < rows; ++i) store(out + (r + i) * stride + k, v[i]);
    }
  }
}

/// Rows [kTileRows, stride] -> tile z [n, kTileRows] (whole vectors of features).
static inline void rows_to_tile(const float* rows, std::int64_t stride, std::int64_t n, float* z) {
  for (std::int64_t k = 0; k < n; k += kLanes) {
    for (int r = 0; r < kTileRows; r += kLanes) {
      Vec v[kLanes];
      for (int i = 0; i < kLanes; ++i) v[i] = load(rows + (r + i) * stride + k);
      transpose(v);
      for (int i = 0; i < kLanes; ++i) store(z + (k + i) * kTileRows + r, v[i]);
    }
  }
}

}  // namespace roap::cpu::ROAP_ISA
