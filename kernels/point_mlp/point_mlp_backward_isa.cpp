#include "kernels/point_mlp/point_mlp_tile.h"

namespace roap::cpu::ROAP_ISA {

namespace {

/// Adds a tile's values of one feature, all rows, to its per-lane sum.
void add_to_sum(float* sums, std::int64_t feature, const Vec* values) {
  float* sum = sums + feature * kSumLanes;
  Vec total = load(sum);
  for (int v = 0; v < kTileVectors; ++v) total += values[v];
  store(sum, total);
}

/// Out [kWidth vectors] = sum over the entries of a row of dh * w6[feature].
template <int kWidth>
void gather_entries(const PointMlpEntry* begin, const PointMlpEntry* end, const float* w6, std::int64_t stride,
                    float* out) {
  Vec sum[kWidth] = {};
  for (const PointMlpEntry* e = begin; e < end; ++e) {
    const float* w = w6 + e->feature * stride;
    for (int v = 0; v < kWidth; ++v) sum[v] += splat(e->dh) * load(w + v * kLanes);
  }
  for (int v = 0; v < kWidth; ++v) store(out + v * kLanes, sum[v]);
}

/// da2 [kTileRows, stride] = dz3 w6, where dz3 has a few entries per row.
void output_backward_data(const PointMlpBackwardTile& tile, float* da2) {
  constexpr int kWidth = 8, kNarrow = 32 / kLanes;
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    const PointMlpEntry* begin = r < tile.rows ? tile.entries + tile.entry_begin[r] : nullptr;
    const PointMlpEntry* end = r < tile.rows ? tile.entries + tile.entry_end[r] : nullptr;
    std::int64_t k = 0;
    for (; k + kWidth * kLanes <= tile.stride; k += kWidth * kLanes) {
      gather_entries<kWidth>(begin, end, tile.w6 + k, tile.stride, da2 + r * tile.stride + k);
    }
    for (; k < tile.stride; k += kNarrow * kLanes) {
      gather_entries<kNarrow>(begin, end, tile.w6 + k, tile.stride, da2 + r * tile.stride + k);
    }
  }
}

/// dw6 += dz3' a2, a2 [kTileRows, stride].
void output_backward_weight(const PointMlpBackwardTile& tile, const float* a2) {
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    for (std::int32_t e = tile.entry_begin[r]; e < tile.entry_end[r]; ++e) {
      float* dw = tile.sums.dw6 + tile.entries[e].feature * tile.stride;
      const Vec dh = splat(tile.entries[e].dh);
      for (std::int64_t k = 0; k < tile.stride; k += kLanes)
        store(dw + k, load(dw + k) + dh * load(a2 + r * tile.stride + k));
    }
  }
}

/// Back through ReLU and LayerNorm in place: d [n, kTileRows] is da on entry, dz on return. Adds to dgamma, dbeta and
/// the sum of dz (the bias of the product before).
void normalise_relu_backward(const RowStatistics& statistics, std::int64_t n, const float* gamma, const float* xhat,
                             const float* a, float* d, float* dgamma, float* dbeta, float* dbias) {
  Vec mean[kTileVectors] = {}, mean_xhat[kTileVectors] = {};
  for (std::int64_t k = 0; k < n; ++k) {
    Vec gradient[kTileVectors], product_xhat[kTileVectors];
    for (int v = 0; v < kTileVectors; ++v) {
      const std::int64_t at = k * kTileRows + v * kLanes;
      gradient[v] = load(a + at) > Vec{} ? load(d + at) : Vec{};
      product_xhat[v] = gradient[v] * load(xhat + at);
      mean[v] += splat(gamma[k]) * gradient[v];
      mean_xhat[v] += splat(gamma[k]) * product_xhat[v];
      store(d + at, splat(gamma[k]) * gradient[v]);
    }
    add_to_sum(dgamma, k, product_xhat);
    add_to_sum(dbeta, k, gradient);
  }
  const float scale = 1.0f / static_cast<float>(n);
  for (int v = 0; v < kTileVectors; ++v) {
    mean[v] *= scale;
    mean_xhat[v] *= scale;
  }
  for (std::int64_t k = 0; k < n; ++k) {
    Vec dz[kTileVectors];
    for (int v = 0; v < kTileVectors; ++v) {
      const std::int64_t at = k * kTileRows + v * kLanes;
      dz[v] = statistics.rstd[v] * (load(d + at) - mean[v] - load(xhat + at) * mean_xhat[v]);
      store(d + at, dz[v]);
    }
    add_to_sum(dbias, k, dz);
  }
}

/// dw3 [hidden, stride] += dz2 a1', dz2 [hidden, kTileRows], a1 [kTileRows, stride]: the register tile of
/// panel_product.
void hidden_backward_weight(const float* dz2, const float* a1, std::int64_t hidden, std::int64_t stride, float* dw3) {
  for (std::int64_t o = 0; o < hidden; o += kPanel) {
    for (std::int64_t c = 0; c < stride; c += 2 * kLanes) {
      float* out = dw3 + o * stride + c;
      Vec sum[kPanel][2];
      for (int m = 0; m < kPanel; ++m) {
        sum[m][0] = load(out + m * stride);
        sum[m][1] = load(out + m * stride + kLanes);
      }
      const float* dz = dz2 + o * kTileRows;
      for (int r = 0; r < kTileRows; ++r) {
        const Vec a0 = load(a1 + r * stride + c), next = load(a1 + r * stride + c + kLanes);
        for (int m = 0; m < kPanel; ++m) {
          const Vec weight = splat(dz[m * kTileRows + r]);
          sum[m][0] += weight * a0;
          sum[m][1] += weight * next;
        }
      }
      for (int m = 0; m < kPanel; ++m) {
        store(out + m * stride, sum[m][0]);
        store(out + m * stride + kLanes, sum[m][1]);
      }
    }
  }
}

/// dx = w0' dz1 (without row 0) and dw0 += dz1 x'.
void first_backward(const PointMlpLayers& layers, const PointMlpBackwardTile& tile, const float* dz1) {
  for (std::int64_t j = 0; j < layers.in; ++j) {
    float* dw0 = tile.sums.dw0 + j * layers.hidden * kSumLanes;
    const float* x = tile.x + j * kTileRows;
    Vec dx[kTileVectors] = {};
    for (std::int64_t k = 0; k < layers.hidden; ++k) {
      Vec share[kTileVectors];
      for (int v = 0; v < kTileVectors; ++v) {
        const Vec dz = load(dz1 + k * kTileRows + v * kLanes);
        share[v] = dz * load(x + v * kLanes);
        dx[v] += splat(layers.w0[k * layers.in + j]) * dz;
      }
      add_to_sum(dw0, k, share);
    }
    if (j == 0 || tile.dx == nullptr) continue;
    for (int v = 0; v < kTileVectors; ++v) store(tile.dx + j * kTileRows + v * kLanes, dx[v]);
  }
}

}  // namespace

// Computes: the network again on kTileRows winning rows, then its gradients; lanes without a row have no entries and
// add zero. Memory: seven activation tiles in L2; packed weights and the piece's weight gradients are read (and
// written) once per tile. Numerics: rows in order within a lane; lanes are added at the end of the piece.
void point_mlp_backward_tile(const PointMlpLayers& layers, const PointMlpBackwardTile& tile) {
  const std::int64_t hidden = layers.hidden;
  float* buffer[kBackwardBuffers];
  for (int i = 0; i < kBackwardBuffers; ++i) buffer[i] = tile.scratch + i * tile_floats(hidden);
  const auto [xhat1, a1, xhat2, a2, dz2, dz1, rows] = buffer;

  first_product(layers, tile.x, xhat1);
  const RowStatistics statistics1 = row_statistics(xhat1, hidden);
  normalise_relu(statistics1, hidden, layers.gamma1, layers.beta1, xhat1, xhat1, a1);
  product(layers.panels3, hidden, hidden, a1, xhat2);
  const RowStatistics statistics2 = row_statistics(xhat2, hidden);
  normalise_relu(statistics2, hidden, layers.gamma4, layers.beta4, xhat2, xhat2, a2);

  tile_to_rows(a2, hidden, kTileRows, rows, tile.stride);
  output_backward_weight(tile, rows);
  output_backward_data(tile, rows);
  rows_to_tile(rows, tile.stride, hidden, dz2);
  normalise_relu_backward(statistics2, hidden, layers.gamma4, xhat2, a2, dz2, tile.sums.dgamma4, tile.sums.dbeta4,
                          tile.sums.db3);
  tile_to_rows(a1, hidden, kTileRows, rows, tile.stride);
  hidden_backward_weight(dz2, rows, hidden, tile.stride, tile.sums.dw3);
  product(tile.panels3_transposed, hidden, hidden, dz2, dz1);
  normalise_relu_backward(statistics1, hidden, layers.gamma1, xhat1, a1, dz1, tile.sums.dgamma1, tile.sums.dbeta1,
                          tile.sums.db0);
  first_backward(layers, tile, dz1);
}

}  // namespace roap::cpu::ROAP_ISA
