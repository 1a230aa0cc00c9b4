#include "kernels/point_mlp/point_mlp_line.h"

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

/// Rows [first, first + count) of a line: what one tile holds.
struct TileRows {
  std::int64_t first, count;
};

/// da2 [kTileRows, stride] = dz3 w6, where dz3 has a few entries per row and none beyond the tile's rows.
void output_backward_data(const PointMlpBackwardRows& rows, TileRows tile, std::int64_t stride, float* da2) {
  constexpr int kWidth = 8, kNarrow = 32 / kLanes;
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    const std::int64_t row = tile.first + r;
    const PointMlpEntry* begin = r < tile.count ? rows.entries + rows.entry_begin[row] : nullptr;
    const PointMlpEntry* end = r < tile.count ? rows.entries + rows.entry_end[row] : nullptr;
    std::int64_t k = 0;
    for (; k + kWidth * kLanes <= stride; k += kWidth * kLanes) {
      gather_entries<kWidth>(begin, end, rows.w6 + k, stride, da2 + r * stride + k);
    }
    for (; k < stride; k += kNarrow * kLanes) {
      gather_entries<kNarrow>(begin, end, rows.w6 + k, stride, da2 + r * stride + k);
    }
  }
}

/// dw6 += dz3' a2, a2 [kTileRows, stride].
void output_backward_weight(const PointMlpBackwardRows& rows, TileRows tile, std::int64_t stride, const float* a2) {
  for (std::int64_t r = 0; r < tile.count; ++r) {
    for (std::int32_t e = rows.entry_begin[tile.first + r]; e < rows.entry_end[tile.first + r]; ++e) {
      float* dw = rows.sums.dw6 + rows.entries[e].feature * stride;
      const Vec dh = splat(rows.entries[e].dh);
      for (std::int64_t k = 0; k < stride; k += kLanes) store(dw + k, load(dw + k) + dh * load(a2 + r * stride + k));
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

/// Sums over the rows of a line that the gradient of its LayerNorm needs: of m rstd, m along and so on, where m is
/// the mean over the units of gradient times normalised value.
struct LineSums {
  float rstd_square = 0, rstd_along = 0, along_square = 0;
};

/// Adds a row to the running sums.
void add_row(const PointMlpLayers& layers, const Line& line, LineRow row, const float* dz2, const float* moving,
             LineSums& sums) {
  Vec product{};
  for (std::int64_t o = 0; o < layers.stride; o += kLanes) {
    const Vec gradient = load(dz2 + o);
    product += gradient * load(moving + o);
    store(line.rstd_dz2 + o, load(line.rstd_dz2 + o) + splat(row.rstd) * gradient);
    store(line.along_dz2 + o, load(line.along_dz2 + o) + splat(row.along) * gradient);
    store(line.dz2 + o, load(line.dz2 + o) + gradient);
  }
  const float mean = sum(product) / static_cast<float>(layers.hidden);
  sums.rstd_square += row.rstd * row.rstd * mean;
  sums.rstd_along += row.rstd * row.along * mean;
  sums.along_square += row.along * row.along * mean;
}

/// Adds the rows so far to a unit's sums, to take them away again where it becomes positive (sign -1) and to keep those
/// since where it becomes zero, or the line ends (sign 1).
void add_rows_so_far(const PointMlpLayers& layers, const Line& line, std::int64_t unit, float sign, float* dunits) {
  const float* weights = layers.units + unit * layers.stride;
  float* dweights = dunits + unit * layers.stride;
  const Vec offset = splat(sign * line.gamma_offset[unit]), direction = splat(sign * layers.gamma_direction[unit]),
            beta = splat(sign * layers.beta1[unit]);
  Vec rstd_share{}, along_share{}, beta_share{};
  for (std::int64_t o = 0; o < layers.stride; o += kLanes) {
    const Vec rstd_dz2 = load(line.rstd_dz2 + o), along_dz2 = load(line.along_dz2 + o), dz2 = load(line.dz2 + o);
    const Vec weight = load(weights + o);
    rstd_share += weight * rstd_dz2;
    along_share += weight * along_dz2;
    beta_share += weight * dz2;
    store(dweights + o, load(dweights + o) + (offset * rstd_dz2 + direction * along_dz2 + beta * dz2));
  }
  line.rstd_share[unit] += sign * sum(rstd_share);
  line.along_share[unit] += sign * sum(along_share);
  line.beta_share[unit] += sign * sum(beta_share);
}

void add_to(float* sums, std::int64_t k, Vec values) { store(sums + k, load(sums + k) + values); }

/// Layers 0 and 1 of a whole line from what its units' sums say, in closed form.
void finish_line(const PointMlpLayers& layers, const PointMlpBackwardRows& rows, std::int64_t pair, const Line& line,
                 const LineSums& moments) {
  const PointMlpSums& out = rows.sums;
  Vec rstd_total{}, along_total{};
  for (std::int64_t k = 0; k < layers.stride; k += kLanes) {
    rstd_total += load(layers.gamma1 + k) * load(line.rstd_share + k);
    along_total += load(layers.gamma1 + k) * load(line.along_share + k);
  }
  const Vec rstd_mean = splat(sum(rstd_total) / static_cast<float>(layers.hidden));
  const Vec along_mean = splat(sum(along_total) / static_cast<float>(layers.hidden));
  for (std::int64_t k = 0; k < layers.stride; k += kLanes) {
    const Vec gamma = load(layers.gamma1 + k), offset = load(line.offset + k), direction = load(layers.columns + k);
    const Vec rstd_share = load(line.rstd_share + k), along_share = load(line.along_share + k);
    const Vec dz1 =
        gamma * rstd_share - rstd_mean - splat(moments.rstd_square) * offset - splat(moments.rstd_along) * direction;
    const Vec distance_dz1 =
        gamma * along_share - along_mean - splat(moments.rstd_along) * offset - splat(moments.along_square) * direction;
    add_to(out.db0, k, dz1);
    add_to(out.dw0, k, splat(line.origin) * dz1 + distance_dz1);
    add_to(out.dgamma1, k, offset * rstd_share + direction * along_share);
    add_to(out.dbeta1, k, load(line.beta_share + k));
    store(line.dz2 + k, dz1);
  }
  for (std::int64_t j = 1; j < layers.in; ++j) {
    const Vec symbol = splat(symbol_of(rows.in, pair, j));
    Vec product{};
    for (std::int64_t k = 0; k < layers.stride; k += kLanes) {
      const Vec dz1 = load(line.dz2 + k);
      add_to(out.dw0, j * layers.stride + k, symbol * dz1);
      product += dz1 * load(layers.columns + j * layers.stride + k);
    }
    out.ds[pair * rows.in.symbols + rows.in.column[j - 1]] += sum(product);
  }
}

/// Where the backward pass keeps what belongs to one tile of a line.
struct LineTile {
  float *rows, *moving;     // [kTileRows, stride]
  float *xhat2, *a2, *dz2;  // tiles
  std::uint32_t* positive;  // [kTileRows + 1, stride / kLanes]: units before the tile, then at each row
  LineRow row[kTileRows];
};

/// z2 of the tile's rows again; lanes beyond them repeat the last one.
void tile_forward(const PointMlpLayers& layers, const PointMlpBackwardRows& rows, TileRows tile, Line& line,
                  LineTile& t) {
  const std::int64_t vectors = layers.stride / kLanes;
  const auto keep_positive = [&](std::int64_t at) {
    for (std::int64_t v = 0; v < vectors; ++v) t.positive[at * vectors + v] = line.positive[v];
  };
  keep_positive(0);
  for (std::int64_t r = 0; r < tile.count; ++r) {
    t.row[r] = row_at(layers, line, rows.in.y[rows.row[tile.first + r]]);
    go_to(layers, line, t.row[r]);
    keep_positive(r + 1);
    write_z2(layers, line, t.row[r], t.rows + r * layers.stride, t.moving + r * layers.stride);
  }
  const float* last = t.rows + (tile.count - 1) * layers.stride;
  for (std::int64_t r = tile.count; r < kTileRows; ++r) {
    for (std::int64_t k = 0; k < layers.stride; k += kLanes) store(t.rows + r * layers.stride + k, load(last + k));
  }
}

/// z2 -> dz2, both in t.rows: layers 4 to 6 forward and back.
void tile_backward(const PointMlpLayers& layers, const PointMlpBackwardRows& rows, TileRows tile, LineTile& t) {
  const std::int64_t hidden = layers.hidden, stride = layers.stride;
  rows_to_tile(t.rows, stride, hidden, t.xhat2);
  const RowStatistics statistics = row_statistics(t.xhat2, hidden);
  normalise_relu(statistics, hidden, layers.gamma4, layers.beta4, t.xhat2, t.xhat2, t.a2);
  tile_to_rows(t.a2, hidden, kTileRows, t.rows, stride);
  output_backward_weight(rows, tile, stride, t.rows);
  output_backward_data(rows, tile, stride, t.rows);
  rows_to_tile(t.rows, stride, hidden, t.dz2);
  normalise_relu_backward(statistics, hidden, layers.gamma4, t.xhat2, t.a2, t.dz2, rows.sums.dgamma4, rows.sums.dbeta4,
                          rows.sums.db3);
  tile_to_rows(t.dz2, hidden, tile.count, t.rows, stride);
}

/// Rows [first, end), all of one line.
void backward_line(const PointMlpLayers& layers, const PointMlpBackwardRows& rows, std::int64_t first, std::int64_t end,
                   Line& line, LineTile& t) {
  const std::int64_t vectors = layers.stride / kLanes;
  const std::int64_t pair = rows.in.pair[rows.row[first]];
  start_line(layers, rows.in, pair, line);
  for (float* sums : {line.rstd_dz2, line.along_dz2, line.dz2, line.rstd_share, line.along_share, line.beta_share}) {
    clear(sums, layers.stride);
  }
  LineSums moments;
  for (std::int64_t begin = first; begin < end; begin += kTileRows) {
    const TileRows tile{begin, end - begin < kTileRows ? end - begin : kTileRows};
    tile_forward(layers, rows, tile, line, t);
    tile_backward(layers, rows, tile, t);
    for (std::int64_t r = 0; r < tile.count; ++r) {
      const std::uint32_t* positive = t.positive + r * vectors;
      if (begin + r > first) {  // no rows so far
        for_each_change(positive, positive + vectors, vectors, [&](std::int64_t unit, bool on) {
          add_rows_so_far(layers, line, unit, on ? -1.0f : 1.0f, rows.sums.dunits);
        });
      }
      add_row(layers, line, t.row[r], t.rows + r * layers.stride, t.moving + r * layers.stride, moments);
    }
  }
  for (std::int64_t v = 0; v < vectors; ++v) t.positive[v] = 0;
  for_each_change(t.positive, line.positive, vectors,
                  [&](std::int64_t unit, bool /*on*/) { add_rows_so_far(layers, line, unit, 1.0f, rows.sums.dunits); });
  finish_line(layers, rows, pair, line, moments);
}

}  // namespace

// Computes: gradients through some winning rows, whose activations are computed again, line by line.
// Memory: a line's sums and tiles stay in the L1 and L2 caches; the piece's weight gradients in L2. Numerics: rows in
// order within a lane or a running sum; lanes are added at the end of the piece.
void point_mlp_backward_rows(const PointMlpLayers& layers, const PointMlpBackwardRows& rows) {
  Line line = place_line(layers.stride, rows.scratch);
  LineTile t;
  t.rows = rows.scratch + kLineFloats * layers.stride;
  t.moving = t.rows + kTileRows * layers.stride;
  t.positive = reinterpret_cast<std::uint32_t*>(t.moving + kTileRows * layers.stride);
  t.xhat2 = t.moving + (kTileRows + kMaskFloats) * layers.stride;
  t.a2 = t.xhat2 + tile_floats(layers.stride);
  t.dz2 = t.a2 + tile_floats(layers.stride);
  for (std::int64_t first = 0; first < rows.rows;) {
    std::int64_t end = first + 1;
    while (end < rows.rows && rows.in.pair[rows.row[end]] == rows.in.pair[rows.row[first]]) ++end;
    backward_line(layers, rows, first, end, line, t);
    first = end;
  }
}

}  // namespace roap::cpu::ROAP_ISA
