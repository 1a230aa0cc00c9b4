#include "kernels/formula_posterior/formula_posterior_isa.h"

#include "kernels/common/simd_math.h"

namespace roap::ROAP_ISA {

using namespace simd::ROAP_ISA;
using simd::kLanes;

namespace {

constexpr int kColumns = 16;  // kPairPadding of kernels/common/pair_columns.h
constexpr float kInfinity = __builtin_huge_valf();

// Register tile of the squared differences: as many tasks as leave room for their sums, the formulas and a difference.
#if defined(__AVX512F__)
constexpr int kTileTasks = 6;
#else
constexpr int kTileTasks = 2;
#endif
constexpr int kTileVectors = 4;

/// log for any positive number or infinity, and NaN for NaN.
Vec log_of_error(Vec x) { return x < kInfinity ? log_of_positive(x) : x; }

/// Sums of squared differences of kTasks tasks and kTileVectors vectors of formulas.
template <int kTasks>
void square_sums(const FormulaTile& tile, std::int64_t task, int column, float* errors) {
  Vec sums[kTasks][kTileVectors] = {};
  const float* y = tile.y + task * tile.stride;
  const float* panel = tile.panel + column;
  for (std::int64_t b = 0; b < tile.pairs; ++b, panel += kFormulaPanel) {
    Vec f[kTileVectors];
    for (int v = 0; v < kTileVectors; ++v) f[v] = load(panel + v * kLanes);
    for (int t = 0; t < kTasks; ++t) {
      const Vec target = splat(y[t * tile.stride + b]);
      for (int v = 0; v < kTileVectors; ++v) {
        const Vec difference = f[v] - target;
        sums[t][v] += difference * difference;
      }
    }
  }
  for (int t = 0; t < kTasks; ++t) {
    for (int v = 0; v < kTileVectors; ++v) {
      store(errors + (task + t) * kFormulaPanel + column + v * kLanes, sums[t][v] * tile.scale[task + t]);
    }
  }
}

Vec score(const FormulaTile& tile, Vec error, int column) {
  return -log_of_error(error + tile.floor) * tile.inverse_temperature - load(tile.penalty + column);
}

/// gradient [first, first + kWidth) += sum over the tasks of weight_t (value - y_t), for one formula.
template <int kWidth>
void gradient_row(const FormulaTile& tile, const float* weights, const float* values, float* gradients,
                  std::int64_t first) {
  constexpr int kVectors = kWidth / kLanes;
  Vec f[kVectors];
  Vec g[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    f[v] = load(values + first + v * kLanes);
    g[v] = load(gradients + first + v * kLanes);
  }
  for (std::int64_t t = 0; t < tile.tasks; ++t) {
    const float weight = weights[t * kFormulaPanel];
    if (weight == 0) continue;  // most, once the temperature is low
    const float* y = tile.y + t * tile.stride + first;
    for (int v = 0; v < kVectors; ++v) g[v] += weight * (f[v] - load(y + v * kLanes));
  }
  for (int v = 0; v < kVectors; ++v) store(gradients + first + v * kLanes, g[v]);
}

}  // namespace

void formula_value_columns(const FormulaArrays& formulas, float* values, std::int64_t stride, std::int64_t first) {
  for (std::int64_t k = formulas.symbols; k < formulas.count; ++k) {
    const float* left = values + formulas.left[k] * stride + first;
    const float* right = values + formulas.right[k] * stride + first;
    float* out = values + k * stride + first;
    for (int i = 0; i < kColumns; i += kLanes) {
      const Vec a = load(left + i);
      const Vec b = load(right + i);
      const FormulaOperator op = formulas.op[k];
      store(out + i, op == FormulaOperator::add ? a + b : op == FormulaOperator::sub ? a - b : a * b);
    }
  }
}

void formula_gradient_columns(const FormulaArrays& formulas, const float* values, float* gradients, std::int64_t stride,
                              std::int64_t first) {
  for (std::int64_t k = formulas.count - 1; k >= formulas.symbols; --k) {
    const std::int64_t left = formulas.left[k] * stride + first;
    const std::int64_t right = formulas.right[k] * stride + first;
    const FormulaOperator op = formulas.op[k];
    for (int i = 0; i < kColumns; i += kLanes) {
      const Vec g = load(gradients + k * stride + first + i);
      const bool product = op == FormulaOperator::mul;
      const Vec to_left = product ? g * load(values + right + i) : g;
      const Vec to_right = product ? g * load(values + left + i) : op == FormulaOperator::sub ? -g : g;
      store(gradients + left + i, load(gradients + left + i) + to_left);
      store(gradients + right + i, load(gradients + right + i) + to_right);
    }
  }
}

void formula_tile_errors(const FormulaTile& tile, float* errors) {
  for (int column = 0; column < kFormulaPanel; column += kTileVectors * kLanes) {
    std::int64_t task = 0;
    for (; task + kTileTasks <= tile.tasks; task += kTileTasks) square_sums<kTileTasks>(tile, task, column, errors);
    for (; task < tile.tasks; ++task) square_sums<1>(tile, task, column, errors);
  }
}

void formula_tile_evidence(const FormulaTile& tile, const float* errors, RunningEvidence* running) {
  constexpr int kRows = kFormulaPanel / RunningEvidence::kLanes;
  for (std::int64_t t = 0; t < tile.tasks; ++t) {
    for (int lane = 0; lane < RunningEvidence::kLanes; lane += kLanes) {
      RunningEvidence& r = running[t];
      const Vec before = load(r.largest + lane);
      Vec largest = before;
      Vec least = load(r.least_error + lane);
      Vec scores[kRows];
      for (int i = 0; i < kRows; ++i) {
        const int column = i * RunningEvidence::kLanes + lane;
        const Vec error = load(errors + t * kFormulaPanel + column);
        scores[i] = score(tile, error, column);
        largest = max(scores[i], largest);
        const Vec candidate = load(tile.penalty + column) < kInfinity ? error : splat(kInfinity);
        least = candidate < least ? candidate : least;
      }
      const Vec reference = largest == -kInfinity ? Vec{} : largest;  // no candidate so far: exp(-infinity) is 0
      Vec sum = load(r.sum + lane) * exp_of_nonpositive(before - reference);
      for (int i = 0; i < kRows; ++i) sum += exp_of_nonpositive(scores[i] - reference);
      store(r.largest + lane, largest);
      store(r.sum + lane, sum);
      store(r.least_error + lane, least);
    }
  }
}

void formula_tile_weights(const FormulaTile& tile, const float* evidence, float factor, const float* errors,
                          float* weights) {
  for (std::int64_t t = 0; t < tile.tasks; ++t) {
    const float scale = 2 * factor * tile.scale[t];
    for (int column = 0; column < kFormulaPanel; column += kLanes) {
      const Vec error = load(errors + t * kFormulaPanel + column);
      // Rounding can lift the only candidate's score a little above the evidence.
      const Vec exponent = score(tile, error, column) - evidence[t];
      const Vec p = exp_of_nonpositive(exponent > 0.0f ? Vec{} : exponent);
      store(weights + t * kFormulaPanel + column, p == 0.0f ? Vec{} : p * scale / (error + tile.floor));
    }
  }
}

void formula_tile_gradients(const FormulaTile& tile, const float* weights, std::int64_t formulas, const float* values,
                            float* gradients) {
  for (std::int64_t k = 0; k < formulas; ++k) {
    std::int64_t first = 0;
    for (; first + 4 * kColumns <= tile.stride; first += 4 * kColumns) {
      gradient_row<4 * kColumns>(tile, weights + k, values + k * tile.stride, gradients + k * tile.stride, first);
    }
    for (; first < tile.stride; first += kColumns) {
      gradient_row<kColumns>(tile, weights + k, values + k * tile.stride, gradients + k * tile.stride, first);
    }
  }
}

}  // namespace roap::ROAP_ISA
