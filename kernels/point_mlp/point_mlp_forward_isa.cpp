#include "kernels/point_mlp/point_mlp_tile.h"

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

// Computes: the network on kTileRows rows.
// Memory: the two activation tiles stay in the L1 and L2 caches; every weight is read once per tile, from L2.
// Numerics: every sum runs over k in order in one lane, so that a row's result does not depend on its tile.
void point_mlp_forward_tile(const PointMlpLayers& layers, const float* x, std::int64_t rows, float* scratch,
                            float* results, std::int64_t stride) {
  const std::int64_t hidden = layers.hidden;
  const std::int64_t widest = layers.hidden > layers.features ? layers.hidden : layers.features;
  float* a = scratch;
  float* z = scratch + tile_floats(widest);
  first_product(layers, x, a);
  normalise_relu(row_statistics(a, hidden), hidden, layers.gamma1, layers.beta1, a, nullptr, a);
  product(layers.panels3, hidden, hidden, a, z);
  normalise_relu(row_statistics(z, hidden), hidden, layers.gamma4, layers.beta4, z, nullptr, z);
  product(layers.panels6, layers.features, hidden, z, a);
  tile_to_rows(a, layers.features, rows, results, stride);
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
