#pragma once

#include "kernels/common/isa.h"
#include "kernels/formula_posterior/formula_operator.h"

// Vector code of formula_posterior. Values lie in rows [K, stride] with the pairs in vector lanes, and in panels of
// kFormulaPanel formulas [pairs, kFormulaPanel] with the formulas in vector lanes.

namespace roap {

inline constexpr int kFormulaPanel = 64;

/// The formulas' plain arrays, for code that knows no std::vector.
struct FormulaArrays {
  std::int64_t count;
  int symbols;
  const FormulaOperator* op;
  const std::int32_t* left;
  const std::int32_t* right;
};

/// Columns [first, first + kPairPadding) of all rows from those of the symbols.
ROAP_ISA_DISPATCH(void, formula_value_columns,
                  (const FormulaArrays& formulas, float* values, std::int64_t stride, std::int64_t first),
                  (formulas, values, stride, first))

/// Adds the gradients of columns [first, first + kPairPadding) to those of the arguments, last formula first; the
/// symbols' are complete then.
ROAP_ISA_DISPATCH(void, formula_gradient_columns,
                  (const FormulaArrays& formulas, const float* values, float* gradients, std::int64_t stride,
                   std::int64_t first),
                  (formulas, values, gradients, stride, first))

struct FormulaTile {
  std::int64_t tasks, pairs, stride;
  const float* panel;    ///< [pairs, kFormulaPanel]
  const float* y;        ///< [tasks, stride]
  const float* scale;    ///< [tasks], 1 / (B sigma^2)
  const float* penalty;  ///< [kFormulaPanel]; infinite where there is no candidate
  float inverse_temperature, floor;
};

/// Running log-sum-exp of a task, one for each lane of the widest vector: sum of exp(score - largest). Lanes are joined
/// once, at the end.
struct RunningEvidence {
  static constexpr int kLanes = 16;
  float largest[kLanes];
  float sum[kLanes];
  float least_error[kLanes];
};

/// errors [tasks, kFormulaPanel]
ROAP_ISA_DISPATCH(void, formula_tile_errors, (const FormulaTile& tile, float* errors), (tile, errors))
/// Takes a tile's errors into the tasks' evidence.
ROAP_ISA_DISPATCH(void, formula_tile_evidence, (const FormulaTile& tile, const float* errors, RunningEvidence* running),
                  (tile, errors, running))
/// weights_tk = factor p_tk / (error_tk + floor) 2 / (B sigma_t^2); may overwrite the errors.
ROAP_ISA_DISPATCH(void, formula_tile_weights,
                  (const FormulaTile& tile, const float* evidence, float factor, const float* errors, float* weights),
                  (tile, evidence, factor, errors, weights))
/// gradients [formulas, stride] += sum over the tile's tasks of weights_tk (F_k - y_t), for rows `values` [formulas,
/// stride].
ROAP_ISA_DISPATCH(void, formula_tile_gradients,
                  (const FormulaTile& tile, const float* weights, std::int64_t formulas, const float* values,
                   float* gradients),
                  (tile, weights, formulas, values, gradients))

}  // namespace roap
