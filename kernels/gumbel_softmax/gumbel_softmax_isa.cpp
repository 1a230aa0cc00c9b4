#include "kernels/gumbel_softmax/gumbel_softmax_isa.h"

#include "kernels/common/simd_math.h"
#include "kernels/common/simd_partial.h"
#include "kernels/common/simd_philox.h"

namespace roap::ROAP_ISA {

using namespace simd::ROAP_ISA;
using simd::kLanes;

namespace {

constexpr int kBlock = kUniformVectors * kLanes;  // elements of one call of the generator

/// Gumbel noise of elements 4 draw .. 4 draw + kBlock - 1.
void gumbel_block(const RandomKey& key, std::uint64_t draw, Vec* g) {
  uniform_draws(key, draw, g);
  for (int v = 0; v < kUniformVectors; ++v) g[v] = -log_of_positive(-log_of_positive(g[v]));
}

/// The block of noise that begins at element `at` of the range, at < 0 or too near to its end for whole vectors.
void add_partial_block(const NoisyRange& range, const Vec* g, std::int64_t at, float* noisy) {
  float values[kBlock];
  for (int v = 0; v < kUniformVectors; ++v) store(values + v * kLanes, g[v]);
  const std::int64_t end = at + kBlock < range.count ? at + kBlock : range.count;
  for (std::int64_t i = at > 0 ? at : 0; i < end; ++i) noisy[i] = (range.logits[i] + values[i - at]) * range.sharpness;
}

/// kLanes columns of the tile, as rows, to its scratch memory, or back. Columns behind the last are not touched.
void load_columns(const SoftmaxTile& tile, std::int64_t row, std::int64_t column, Vec* v) {
  const std::int64_t rest = tile.columns - column;
  for (int i = 0; i < kLanes; ++i) {
    const std::int64_t r = row + i < tile.rows ? row + i : tile.rows - 1;
    v[i] = load_first(tile.values + r * tile.columns + column, rest);
  }
  transpose(v);
}

void store_columns(const SoftmaxTile& tile, std::int64_t row, std::int64_t column, Vec* v) {
  const std::int64_t rest = tile.columns - column;
  transpose(v);
  for (int i = 0; i < kLanes && row + i < tile.rows; ++i) {
    store_first(tile.values + (row + i) * tile.columns + column, rest, v[i]);
  }
}

/// The softmax of one group of kLanes rows, members at stride kSoftmaxRows.
void softmax_group(float* group, int size) {
  Vec largest = load(group);
  for (int i = 1; i < size; ++i) largest = max(load(group + i * kSoftmaxRows), largest);
  Vec total{};
  for (int i = 0; i < size; ++i) {
    const Vec e = exp_of_nonpositive(load(group + i * kSoftmaxRows) - largest);
    total += e;
    store(group + i * kSoftmaxRows, e);
  }
  for (int i = 0; i < size; ++i) store(group + i * kSoftmaxRows, load(group + i * kSoftmaxRows) / total);
}

void one_hot_group(float* group, int size) {
  Vec largest = load(group);
  IntVec winner{};
  for (int i = 1; i < size; ++i) {
    const Vec candidate = load(group + i * kSoftmaxRows);
    winner = candidate > largest ? i - IntVec{} : winner;
    largest = candidate > largest ? candidate : largest;
  }
  for (int i = 0; i < size; ++i) store(group + i * kSoftmaxRows, winner == i - IntVec{} ? splat(1) : Vec{});
}

}  // namespace

// Numerics: the noise is a function of the element alone, so ranges may begin anywhere.
void noisy_logits(const NoisyRange& range, float* noisy) {
  if (!range.noise) {
    for (std::int64_t i = 0; i < range.count; i += kLanes) {
      const std::int64_t rest = range.count - i;
      store_first(noisy + i, rest, load_first(range.logits + i, rest) * range.sharpness);
    }
    return;
  }
  std::uint64_t draw = range.first_element / 4;
  for (std::int64_t at = -static_cast<std::int64_t>(range.first_element % 4); at < range.count; at += kBlock) {
    Vec g[kUniformVectors];
    gumbel_block(range.key, draw, g);
    draw += kUniformDraws;
    if (at < 0 || at + kBlock > range.count) {
      add_partial_block(range, g, at, noisy);
      continue;
    }
    for (int v = 0; v < kUniformVectors; ++v) {
      store(noisy + at + v * kLanes, (load(range.logits + at + v * kLanes) + g[v]) * range.sharpness);
    }
  }
}

// Memory: the tile is read and written once, its scratch memory stays in the L2 cache. Numerics: a lane adds the
// members of a group in order, so that a row's result does not depend on its tile.
void softmax_groups(const SoftmaxTile& tile) {
  for (std::int64_t row = 0; row < tile.rows; row += kLanes) {
    Vec v[kLanes];
    for (std::int64_t c = 0; c < tile.columns; c += kLanes) {
      load_columns(tile, row, c, v);
      for (int i = 0; i < kLanes; ++i) store(tile.scratch + (c + i) * kSoftmaxRows + row, v[i]);
    }
    float* group = tile.scratch + row;
    for (std::int64_t g = 0; g < tile.groups; group += tile.group_sizes[g] * kSoftmaxRows, ++g) {
      tile.one_hot ? one_hot_group(group, tile.group_sizes[g]) : softmax_group(group, tile.group_sizes[g]);
    }
    for (std::int64_t c = 0; c < tile.columns; c += kLanes) {
      for (int i = 0; i < kLanes; ++i) v[i] = load(tile.scratch + (c + i) * kSoftmaxRows + row);
      store_columns(tile, row, c, v);
    }
  }
}

}  // namespace roap::ROAP_ISA
