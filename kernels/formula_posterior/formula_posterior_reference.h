#pragma once

#include <cmath>
#include <limits>

#include "kernels/formula_posterior/formula_posterior.h"

// The definition of formula_posterior: plain loops in float or double.

namespace roap::reference {

/// Value of every formula at one pair's symbols.
template <class Real>
std::vector<Real> formula_values(const FormulaGraph& formulas, const Real* symbols) {
  std::vector<Real> values(symbols, symbols + formulas.symbols);
  for (std::size_t k = values.size(); k < formulas.op.size(); ++k) {
    const Real a = values[static_cast<std::size_t>(formulas.left[k])];
    const Real b = values[static_cast<std::size_t>(formulas.right[k])];
    values.push_back(formulas.op[k] == FormulaOperator::add   ? a + b
                     : formulas.op[k] == FormulaOperator::sub ? a - b
                                                              : a * b);
  }
  return values;
}

/// errors [T, K]
template <class Real>
std::vector<Real> formula_errors(const FormulaPosteriorDims& d, const Real* symbols, const Real* y, const Real* sigma) {
  const std::int64_t count = d.formulas->count();
  std::vector<Real> errors(static_cast<std::size_t>(d.tasks * count), Real{0});
  for (std::int64_t b = 0; b < d.pairs; ++b) {
    const std::vector<Real> values = formula_values(*d.formulas, symbols + b * d.formulas->symbols);
    for (std::int64_t t = 0; t < d.tasks; ++t) {
      for (std::int64_t k = 0; k < count; ++k) {
        const Real difference = (values[static_cast<std::size_t>(k)] - y[t * d.pairs + b]) / sigma[t];
        errors[static_cast<std::size_t>(t * count + k)] += difference * difference / static_cast<Real>(d.pairs);
      }
    }
  }
  return errors;
}

template <class Real>
Real formula_score(Real error, Real temperature, Real floor, float penalty) {
  return -std::log(error + floor) / temperature - static_cast<Real>(penalty);
}

template <class Real>
void formula_posterior_forward(const FormulaPosteriorDims& d, const Real* symbols, const Real* y, const Real* sigma,
                               const Real* temperature, const Real* floor, Real* loss, Real* evidence,
                               Real* least_error, Real* errors) {
  const std::size_t count = static_cast<std::size_t>(d.formulas->count());
  const std::vector<Real> all = formula_errors(d, symbols, y, sigma);
  loss[0] = 0;
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    const Real* row = all.data() + static_cast<std::size_t>(t) * count;
    Real largest = -std::numeric_limits<Real>::infinity();
    least_error[t] = std::numeric_limits<Real>::infinity();
    for (std::size_t k = 0; k < count; ++k) {
      largest = std::max(largest, formula_score(row[k], temperature[0], floor[0], d.formulas->penalty[k]));
      if (std::isfinite(d.formulas->penalty[k])) least_error[t] = std::min(least_error[t], row[k]);
    }
    Real sum{0};
    for (std::size_t k = 0; k < count; ++k) {
      sum += std::exp(formula_score(row[k], temperature[0], floor[0], d.formulas->penalty[k]) - largest);
    }
    evidence[t] = largest + std::log(sum);
    loss[0] -= temperature[0] * evidence[t] / static_cast<Real>(d.tasks);
  }
  if (errors != nullptr) std::copy(all.begin(), all.end(), errors);
}

template <class Real>
void formula_posterior_backward(const FormulaPosteriorDims& d, const Real* dloss, const Real* symbols, const Real* y,
                                const Real* sigma, const Real* temperature, const Real* floor, const Real* evidence,
                                Real* dsymbols, bool accumulate) {
  const FormulaGraph& formulas = *d.formulas;
  const std::size_t count = static_cast<std::size_t>(formulas.count());
  const std::vector<Real> errors = formula_errors(d, symbols, y, sigma);
  for (std::int64_t b = 0; b < d.pairs; ++b) {
    const std::vector<Real> values = formula_values(formulas, symbols + b * formulas.symbols);
    std::vector<Real> gradient(count, Real{0});
    for (std::int64_t t = 0; t < d.tasks; ++t) {
      for (std::size_t k = 0; k < count; ++k) {
        const Real error = errors[static_cast<std::size_t>(t) * count + k];
        const Real p = std::exp(formula_score(error, temperature[0], floor[0], formulas.penalty[k]) - evidence[t]);
        const Real scale =
            dloss[0] / static_cast<Real>(d.tasks) * 2 / (static_cast<Real>(d.pairs) * sigma[t] * sigma[t]);
        gradient[k] += scale * p / (error + floor[0]) * (values[k] - y[t * d.pairs + b]);
      }
    }
    for (std::size_t k = count; k-- > static_cast<std::size_t>(formulas.symbols);) {
      const std::size_t left = static_cast<std::size_t>(formulas.left[k]);
      const std::size_t right = static_cast<std::size_t>(formulas.right[k]);
      const bool product = formulas.op[k] == FormulaOperator::mul;
      gradient[left] += product ? gradient[k] * values[right] : gradient[k];
      gradient[right] += product                                  ? gradient[k] * values[left]
                         : formulas.op[k] == FormulaOperator::sub ? -gradient[k]
                                                                  : gradient[k];
    }
    for (int v = 0; v < formulas.symbols; ++v) {
      Real& target = dsymbols[b * formulas.symbols + v];
      target = (accumulate ? target : Real{0}) + gradient[static_cast<std::size_t>(v)];
    }
  }
}

}  // namespace roap::reference
