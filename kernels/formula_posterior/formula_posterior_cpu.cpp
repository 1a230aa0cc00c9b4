#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/pair_columns.h"
#include "kernels/formula_posterior/formula_posterior.h"
#include "kernels/formula_posterior/formula_posterior_isa.h"

// Computes: errors, evidence, loss and gradient.
// Mapping: values and their gradients by 16 pairs; the evidence by kTaskGrain tasks, each over all panels of 64
//   formulas; gradients of the values by panels, each over all tasks.
// Memory: values [K, B] twice; errors [T, K] are never stored here: a tile of kTaskGrain x 64 at a time, unless the
//   caller keeps them.
// Numerics: f32 sums of squared differences in the order of the pairs; the sum of exp in double over panels in order;
//   tasks in order within a gradient.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTaskGrain = 24;

struct Sizes {
  std::int64_t stride, panels, value_floats, panel_floats, y_floats, rounded_tasks;
};

Sizes sizes_of(const FormulaPosteriorDims& d) {
  const std::int64_t stride = column_stride(d.pairs);
  const std::int64_t panels = pieces_of(d.formulas->count(), kFormulaPanel);
  return {stride,
          panels,
          panels * kFormulaPanel * stride,
          panels * kFormulaPanel * column_stride(d.pairs),
          d.tasks * stride,
          column_stride(d.tasks)};
}

/// The workspace, and what both directions put into it.
struct Prepared {
  FormulaPosteriorDims dims;
  Sizes sizes;
  FormulaArrays formulas;
  float *values, *panels, *y, *scale, *penalty, *rest;

  Prepared(const FormulaPosteriorDims& d, float* workspace)
      : dims(d),
        sizes(sizes_of(d)),
        formulas{d.formulas->count(), d.formulas->symbols, d.formulas->op.data(), d.formulas->left.data(),
                 d.formulas->right.data()},
        values(workspace),
        panels(values + sizes.value_floats),
        y(panels + sizes.panel_floats),
        scale(y + sizes.y_floats),
        penalty(scale + sizes.rounded_tasks),
        rest(penalty + sizes.panels * kFormulaPanel) {}

  static std::int64_t floats(const Sizes& s) {
    return s.value_floats + s.panel_floats + s.y_floats + s.rounded_tasks + s.panels * kFormulaPanel;
  }

  /// Values of all formulas as rows and, where wanted, as panels; y padded; scales and penalties.
  void fill(const float* symbols, const float* targets, const float* sigma, bool with_panels) const {
    symbols_to_columns(dims.pairs, formulas.symbols, symbols, values);
    std::fill(values + formulas.count * sizes.stride, values + sizes.value_floats, 0.0f);
    parallel_ranges(sizes.stride, kPairPadding, [&](std::int64_t begin, std::int64_t /*end*/) {
      formula_value_columns(formulas, values, sizes.stride, begin);
    });
    for (std::int64_t t = 0; t < dims.tasks; ++t) {
      std::copy_n(targets + t * dims.pairs, dims.pairs, y + t * sizes.stride);
      std::fill(y + t * sizes.stride + dims.pairs, y + (t + 1) * sizes.stride, 0.0f);
      scale[t] = static_cast<float>(1.0 / (static_cast<double>(dims.pairs) * sigma[t] * sigma[t]));
    }
    std::copy_n(dims.formulas->penalty.begin(), formulas.count, penalty);
    std::fill(penalty + formulas.count, penalty + sizes.panels * kFormulaPanel, std::numeric_limits<float>::infinity());
    if (with_panels) parallel_for(sizes.panels, [&](std::int64_t p) { fill_panel(p); });
  }

  void fill_panel(std::int64_t p) const {
    const float* rows = values + p * kFormulaPanel * sizes.stride;
    float* panel = panels + p * kFormulaPanel * dims.pairs;
    for (std::int64_t b = 0; b < dims.pairs; ++b) {
      for (std::int64_t k = 0; k < kFormulaPanel; ++k) panel[b * kFormulaPanel + k] = rows[k * sizes.stride + b];
    }
  }

  /// Tasks [begin, end) and panel p.
  [[nodiscard]] FormulaTile tile(std::int64_t begin, std::int64_t end, std::int64_t p, float temperature,
                                 float floor) const {
    return {end - begin,
            dims.pairs,
            sizes.stride,
            panels + p * kFormulaPanel * dims.pairs,
            y + begin * sizes.stride,
            scale + begin,
            penalty + p * kFormulaPanel,
            1.0f / temperature,
            floor};
  }
};

RunningEvidence no_evidence() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  RunningEvidence running{};
  std::fill(std::begin(running.largest), std::end(running.largest), -kInfinity);
  std::fill(std::begin(running.least_error), std::end(running.least_error), kInfinity);
  return running;
}

float join_lanes(const RunningEvidence& r) {
  const double largest = *std::max_element(std::begin(r.largest), std::end(r.largest));
  double sum = 0;
  for (int lane = 0; lane < RunningEvidence::kLanes; ++lane) sum += r.sum[lane] * std::exp(r.largest[lane] - largest);
  return static_cast<float>(largest + std::log(sum));
}

/// Copies a tile's errors to or from the rows [T, K] of all errors.
template <class Copy>
void for_each_row(const FormulaPosteriorDims& d, std::int64_t begin, std::int64_t end, std::int64_t panel,
                  Copy&& copy) {
  const std::int64_t first = panel * kFormulaPanel;
  const std::int64_t count = std::min<std::int64_t>(kFormulaPanel, d.formulas->count() - first);
  for (std::int64_t t = begin; t < end; ++t) copy((t - begin) * kFormulaPanel, t * d.formulas->count() + first, count);
}

}  // namespace

std::size_t formula_posterior_forward_workspace(const FormulaPosteriorDims& d) {
  return sizeof(float) * static_cast<std::size_t>(Prepared::floats(sizes_of(d)));
}

std::size_t formula_posterior_backward_workspace(const FormulaPosteriorDims& d) {
  const Sizes sizes = sizes_of(d);
  return sizeof(float) * static_cast<std::size_t>(Prepared::floats(sizes) + sizes.value_floats);
}

void formula_posterior_forward(const FormulaPosteriorDims& d, const float* symbols, const float* y, const float* sigma,
                               const float* temperature, const float* floor, float* loss, float* evidence,
                               float* least_error, float* errors, float* workspace) {
  const Prepared prepared(d, workspace);
  prepared.fill(symbols, y, sigma, true);
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    float tile_errors[kTaskGrain * kFormulaPanel];
    RunningEvidence running[kTaskGrain];
    std::fill_n(running, end - begin, no_evidence());
    for (std::int64_t p = 0; p < prepared.sizes.panels; ++p) {
      const FormulaTile tile = prepared.tile(begin, end, p, temperature[0], floor[0]);
      formula_tile_errors(tile, tile_errors);
      formula_tile_evidence(tile, tile_errors, running);
      if (errors == nullptr) continue;
      for_each_row(d, begin, end, p, [&](std::int64_t from, std::int64_t to, std::int64_t count) {
        std::copy_n(tile_errors + from, count, errors + to);
      });
    }
    for (std::int64_t t = begin; t < end; ++t) {
      evidence[t] = join_lanes(running[t - begin]);
      least_error[t] =
          *std::min_element(std::begin(running[t - begin].least_error), std::end(running[t - begin].least_error));
    }
  });
  double total = 0;
  for (std::int64_t t = 0; t < d.tasks; ++t) total += evidence[t];
  loss[0] = static_cast<float>(-temperature[0] * total / static_cast<double>(d.tasks));
}

void formula_posterior_backward(const FormulaPosteriorDims& d, const float* dloss, const float* symbols, const float* y,
                                const float* sigma, const float* temperature, const float* floor, const float* evidence,
                                const float* errors, float* dsymbols, bool accumulate, float* workspace) {
  const Prepared prepared(d, workspace);
  prepared.fill(symbols, y, sigma, errors == nullptr);
  const Sizes& sizes = prepared.sizes;
  float* gradients = prepared.rest;
  const float factor = dloss[0] / static_cast<float>(d.tasks);
  parallel_for(sizes.panels, [&](std::int64_t p) {
    float weights[kTaskGrain * kFormulaPanel];
    const std::int64_t first = p * kFormulaPanel * sizes.stride;
    std::fill_n(gradients + first, kFormulaPanel * sizes.stride, 0.0f);
    for (std::int64_t begin = 0; begin < d.tasks; begin += kTaskGrain) {
      const std::int64_t end = std::min(begin + kTaskGrain, d.tasks);
      const FormulaTile tile = prepared.tile(begin, end, p, temperature[0], floor[0]);
      if (errors == nullptr) {
        formula_tile_errors(tile, weights);
      } else {
        std::fill_n(weights, kTaskGrain * kFormulaPanel, 0.0f);
        for_each_row(d, begin, end, p, [&](std::int64_t to, std::int64_t from, std::int64_t count) {
          std::copy_n(errors + from, count, weights + to);
        });
      }
      formula_tile_weights(tile, evidence + begin, factor, weights, weights);
      const std::int64_t count = std::min<std::int64_t>(kFormulaPanel, d.formulas->count() - p * kFormulaPanel);
      formula_tile_gradients(tile, weights, count, prepared.values + first, gradients + first);
    }
  });
  parallel_ranges(sizes.stride, kPairPadding, [&](std::int64_t begin, std::int64_t /*end*/) {
    formula_gradient_columns(prepared.formulas, prepared.values, gradients, sizes.stride, begin);
  });
  add_column_parts(d.pairs, prepared.formulas.symbols, 1, gradients, dsymbols, accumulate);
}

}  // namespace roap::cpu
