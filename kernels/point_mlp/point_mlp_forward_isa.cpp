#include "kernels/point_mlp/point_mlp_line.h"

namespace roap::cpu::ROAP_ISA {

std::int64_t point_mlp_panel() { return kPanel; }

void point_mlp_pack(const PanelSource& source, std::int64_t begin, std::int64_t end, float* panels) {
  for (std::int64_t p = begin; p < end; ++p) {
    float* panel = panels + p * kPanel * (source.inputs + 1);
    for (std::int64_t m = 0; m < kPanel; ++m) {
      const std::int64_t o = p * kPanel + m;
      const bool inside = o < source.outputs;
      panel[m] = inside && source.bias != nullptr ? source.bias[o] : 0.0f;
      const float* w = source.w + o * source.output_stride;
      for (std::int64_t k = 0; k < source.inputs; ++k) {
        panel[(k + 1) * kPanel + m] = inside ? w[k * source.input_stride] : 0.0f;
      }
    }
  }
}

namespace {

/// Layers 4 to 6 on the first `count` of kTileRows rows z2 [kTileRows, stride].
void finish_tile(const PointMlpLayers& layers, const float* z2, std::int64_t count, float* tile, float* z3,
                 float* results, std::int64_t result_stride) {
  rows_to_tile(z2, layers.stride, layers.hidden, tile);
  normalise_relu(row_statistics(tile, layers.hidden), layers.hidden, layers.gamma4, layers.beta4, tile, nullptr, tile);
  product(layers.panels6, layers.features, layers.hidden, tile, z3);
  tile_to_rows(z3, layers.features, count, results, result_stride);
}

}  // namespace

// Computes: the network on the rows of some segments.
// Memory: a line's sums and the tiles stay in the L1 and L2 caches; w6 is read once per tile, from L2.
// Numerics: layer 3's sums depend on the rows before in the segment; a row given twice changes nothing, and so do
// tiles.
void point_mlp_forward_rows(const PointMlpLayers& layers, const PointMlpForwardRows& rows) {
  Line line = place_line(layers.stride, rows.scratch);
  float* z2 = rows.scratch + kLineFloats * layers.stride;
  float* tile = z2 + kTileRows * layers.stride;
  float* z3 = tile + tile_floats(layers.hidden > layers.features ? layers.hidden : layers.features);
  const std::int32_t first = rows.segment[0], end = rows.segment[rows.segments];
  for (std::int64_t segment = 0; segment < rows.segments; ++segment) {
    start_line(layers, rows.in, rows.in.pair[rows.segment[segment]], line);
    for (std::int32_t r = rows.segment[segment]; r < rows.segment[segment + 1]; ++r) {
      const LineRow row = row_at(layers, line, rows.in.y[r]);
      go_to(layers, line, row);
      const std::int64_t at = (r - first) % kTileRows;
      write_z2(layers, line, row, z2 + at * layers.stride, nullptr);
      if (at + 1 < kTileRows && r + 1 < end) continue;
      finish_tile(layers, z2, at + 1, tile, z3, rows.results + (r - first - at) * rows.result_stride,
                  rows.result_stride);
    }
  }
}

// Computes: maximum and winning pair of every feature of one task and group.
// Memory: each row of results is read once, kWidth vectors at a time; the running maximum stays in registers.
// Numerics: pairs in order with a strict comparison: the lowest pair wins a tie.
void point_mlp_max(const PointMlpMax& task) {
  constexpr int kWidth = 4;
  constexpr std::int64_t kChunk = kWidth * kLanes;
  static_assert(kChunk <= kMaxSlack);
  for (std::int64_t f = 0; f < task.features; f += kChunk) {
    const auto row_of_pair = [&](std::int64_t i) {
      return task.results + (task.row_of[i] - task.row_begin) * task.stride + f;
    };
    const std::int64_t rest = task.features - f < kChunk ? task.features - f : kChunk;
    float values[kChunk];
    std::int32_t pairs[kChunk];
    for (std::int64_t k = 0; k < rest; ++k) {
      values[k] = task.first ? row_of_pair(task.pair_begin)[k] : task.h[f + k];
      pairs[k] = task.first ? static_cast<std::int32_t>(task.pair_begin) : task.index[f + k];
    }
    Vec best[kWidth];
    IntVec winner[kWidth];
    std::memcpy(best, values, sizeof values);
    std::memcpy(winner, pairs, sizeof pairs);
    for (std::int64_t i = task.pair_begin; i < task.pair_end; ++i) {
      const float* row = row_of_pair(i);
      const IntVec pair = static_cast<std::int32_t>(i) - IntVec{};
      for (int v = 0; v < kWidth; ++v) {
        const Vec candidate = load(row + v * kLanes);
        winner[v] = candidate > best[v] ? pair : winner[v];
        best[v] = candidate > best[v] ? candidate : best[v];
      }
    }
    std::memcpy(values, best, sizeof values);
    std::memcpy(pairs, winner, sizeof pairs);
    for (std::int64_t k = 0; k < rest; ++k) {
      task.h[f + k] = values[k];
      task.index[f + k] = pairs[k];
    }
  }
}

}  // namespace roap::cpu::ROAP_ISA
