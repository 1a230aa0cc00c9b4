#include "kernels/soft_exec/soft_exec_isa.h"

#include "kernels/common/simd_partial.h"
#include "kernels/common/soft_operator.h"

// A tile is 1, 2 or 4 vectors of pairs. Its values [symbols + lines][vectors] stay in L1; the weights are broadcast
// from memory, each serving all vectors of the tile.

namespace roap::ROAP_ISA {

using namespace simd::ROAP_ISA;
using simd::kLanes;

namespace {

struct Scratch {
  Vec* values;         ///< [symbols + lines][vectors]
  Vec* left;           ///< [lines][vectors]; null in the forward pass
  Vec* right;          ///< [lines][vectors]
  Vec* gradients;      ///< [symbols + lines][vectors]
  Vec* weight_lanes;   ///< [2 (symbols + lines) + 3] and room for one more block
  float* weight_sums;  ///< the same, lanes added
};

/// Sums of neighbouring lanes: those of x in the lower half of the result, those of y in the upper half.
Vec add_neighbours(Vec x, Vec y) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX2__)
  return __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14) +
         __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return __builtin_shufflevector(x, y, 0, 2, 4, 6) + __builtin_shufflevector(x, y, 1, 3, 5, 7);
#endif
}

/// Lane i of the result is the sum of the lanes of rows[i], for kCount = kLanes.
template <int kCount>
inline Vec sum_rows(const Vec* rows) {
  if constexpr (kCount == 1) {
    return rows[0];
  } else {
    return add_neighbours(sum_rows<kCount / 2>(rows), sum_rows<kCount / 2>(rows + kCount / 2));
  }
}

void put(float* target, const float* values, int count, bool add) {
  for (int i = 0; i < count; ++i) target[i] = add ? target[i] + values[i] : values[i];
}

/// Runs all lines on the tile that begins at `pair`; keeps both arguments of every line when kKeepArguments.
template <int kVectors, bool kKeepArguments>
inline void execute_tile(const SoftExecTask& task, std::int64_t pair, const Scratch& s) {
  for (int j = 0; j < task.symbols; ++j) {
    for (int k = 0; k < kVectors; ++k) {
      s.values[j * kVectors + k] = load(task.columns + j * task.stride + pair + k * kLanes);
    }
  }
  const float* left = task.left;
  const float* right = task.right;
  for (int line = 0; line < task.lines; ++line) {
    const int choices = task.symbols + line;
    Vec a[kVectors]{}, b[kVectors]{};
    for (int i = 0; i < choices; ++i) {
      const Vec wa = splat(left[i]), wb = splat(right[i]);
      for (int k = 0; k < kVectors; ++k) {
        const Vec v = s.values[i * kVectors + k];
        a[k] += wa * v;
        b[k] += wb * v;
      }
    }
    const SoftOperator o = soft_operator(task.operators + 4 * line);
    for (int k = 0; k < kVectors; ++k) {
      s.values[choices * kVectors + k] = o.first * a[k] + o.second * b[k] + o.product * (a[k] * b[k]);
      if constexpr (kKeepArguments) {
        s.left[line * kVectors + k] = a[k];
        s.right[line * kVectors + k] = b[k];
      }
    }
    left += choices;
    right += choices;
  }
}

/// Passes dA and dB on to the earlier values and leaves dA v_a and dB v_a, summed over the tile's vectors, in
/// weight_lanes.
template <int kVectors, bool kWantWeights>
inline void pull_arguments(int choices, const float* left, const float* right, const Vec* da, const Vec* db,
                           const Scratch& s) {
  for (int i = 0; i < choices; ++i) {
    const Vec wa = splat(left[i]), wb = splat(right[i]);
    Vec sum_a{}, sum_b{};
    for (int k = 0; k < kVectors; ++k) {
      Vec& g = s.gradients[i * kVectors + k];
      g = (g + wa * da[k]) + wb * db[k];
      if constexpr (kWantWeights) {
        const Vec v = s.values[i * kVectors + k];
        sum_a += da[k] * v;
        sum_b += db[k] * v;
      }
    }
    if constexpr (kWantWeights) {
      s.weight_lanes[i] = sum_a;
      s.weight_lanes[choices + i] = sum_b;
    }
  }
}

/// Adds the lanes of a line's weight gradients and writes them. The last three rows are sums of g A, g B and g A B.
inline void write_weight_gradients(const SoftExecTaskGradient& d, int line, int choices, std::int64_t offset, bool add,
                                   const Scratch& s) {
  const int rows = 2 * choices + 3;
  for (int i = 0; i < rows; i += kLanes) store(s.weight_sums + i, sum_rows<kLanes>(s.weight_lanes + i));
  put(d.left + offset, s.weight_sums, choices, add);
  put(d.right + offset, s.weight_sums + choices, choices, add);
  const float ga = s.weight_sums[2 * choices], gb = s.weight_sums[2 * choices + 1],
              gab = s.weight_sums[2 * choices + 2];
  const float operators[4] = {ga + gb, ga - gb, gab, ga};
  put(d.operators + 4 * line, operators, 4, add);
}

template <int kVectors, bool kWantWeights>
inline void backward_tile(const SoftExecTask& task, const SoftExecTaskGradient& d, std::int64_t pair,
                          const Scratch& s) {
  execute_tile<kVectors, true>(task, pair, s);
  const int last = task.symbols + task.lines - 1;
  for (int i = 0; i < last * kVectors; ++i) s.gradients[i] = Vec{};
  for (int k = 0; k < kVectors; ++k) {
    const std::int64_t first = pair + k * kLanes;
    s.gradients[last * kVectors + k] = load_first(d.dyhat + first, task.pairs - first);
  }
  std::int64_t offset = std::int64_t{task.symbols} * task.lines + std::int64_t{task.lines} * (task.lines - 1) / 2;
  for (int line = task.lines - 1; line >= 0; --line) {
    const int choices = task.symbols + line;
    offset -= choices;
    const SoftOperator o = soft_operator(task.operators + 4 * line);
    Vec da[kVectors], db[kVectors], ga{}, gb{}, gab{};
    for (int k = 0; k < kVectors; ++k) {
      const Vec g = s.gradients[choices * kVectors + k];
      const Vec a = s.left[line * kVectors + k], b = s.right[line * kVectors + k];
      da[k] = g * (o.first + o.product * b);
      db[k] = g * (o.second + o.product * a);
      ga += g * a;
      gb += g * b;
      gab += g * (a * b);
    }
    pull_arguments<kVectors, kWantWeights>(choices, task.left + offset, task.right + offset, da, db, s);
    if constexpr (kWantWeights) {
      s.weight_lanes[2 * choices] = ga;
      s.weight_lanes[2 * choices + 1] = gb;
      s.weight_lanes[2 * choices + 2] = gab;
      write_weight_gradients(d, line, choices, offset, d.accumulate || pair > 0, s);
    }
  }
  if (d.columns == nullptr) return;
  for (int j = 0; j < task.symbols; ++j) {
    for (int k = 0; k < kVectors; ++k) {
      float* target = d.columns + j * task.stride + pair + k * kLanes;
      store(target, load(target) + s.gradients[j * kVectors + k]);
    }
  }
}

template <int kVectors>
inline void forward_tile(const SoftExecTask& task, std::int64_t pair, float* yhat, const Scratch& s) {
  execute_tile<kVectors, false>(task, pair, s);
  const int last = task.symbols + task.lines - 1;
  for (int k = 0; k < kVectors; ++k) {
    const std::int64_t first = pair + k * kLanes;
    store_first(yhat + first, task.pairs - first, s.values[last * kVectors + k]);
  }
}

template <int kCount>
struct Vectors {
  static constexpr int kVectors = kCount;
};

/// Calls tile(Vectors<n>, first pair) for tiles that cover all pairs.
template <class Tile>
inline void for_tiles(std::int64_t pairs, Tile tile) {
  std::int64_t pair = 0;
  while (pair < pairs) {
    const std::int64_t rest = (pairs - pair + kLanes - 1) / kLanes;
    if (rest >= 4) {
      tile(Vectors<4>{}, pair);
      pair += 4 * kLanes;
    } else if (rest >= 2) {
      tile(Vectors<2>{}, pair);
      pair += 2 * kLanes;
    } else {
      tile(Vectors<1>{}, pair);
      pair += kLanes;
    }
  }
}

Scratch backward_scratch(const SoftExecTask& task, float* memory) {
  constexpr int kMaxVectors = 4;
  const std::int64_t values = task.symbols + task.lines;
  Scratch s{};
  s.values = reinterpret_cast<Vec*>(memory);
  s.gradients = s.values + kMaxVectors * values;
  s.left = s.gradients + kMaxVectors * values;
  s.right = s.left + kMaxVectors * task.lines;
  s.weight_lanes = s.right + kMaxVectors * task.lines;
  s.weight_sums = reinterpret_cast<float*>(s.weight_lanes + 2 * values + 3 + kLanes);
  return s;
}

}  // namespace

void soft_exec_forward_task(const SoftExecTask& task, float* yhat, float* scratch) {
  Scratch s{};
  s.values = reinterpret_cast<Vec*>(scratch);
  for_tiles(task.pairs, [&](auto size, std::int64_t pair) { forward_tile<size.kVectors>(task, pair, yhat, s); });
}

void soft_exec_backward_task(const SoftExecTask& task, const SoftExecTaskGradient& gradient, float* scratch) {
  const Scratch s = backward_scratch(task, scratch);
  for_tiles(task.pairs, [&](auto size, std::int64_t pair) {
    if (gradient.left != nullptr) {
      backward_tile<size.kVectors, true>(task, gradient, pair, s);
    } else {
      backward_tile<size.kVectors, false>(task, gradient, pair, s);
    }
  });
}

}  // namespace roap::ROAP_ISA
