#include "models/search/symbol_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/common/parallel.h"

namespace roap::search {
namespace {

using programs::Expression;
using programs::Node;
using programs::Operator;

constexpr int kMostSymbols = 8;
// Floors of the robust objective, in units of a task's variance, from one that sees everything to one that only sees
// what fits; each gets that many steps.
constexpr std::array kFloors{0.1, 0.03, 0.01, 1e-3, 1e-4};
constexpr int kSteps = 3;
constexpr double kDamping = 1e-4;  // of the mean curvature

/// A value and its derivatives by the symbols.
struct Dual {
  double value = 0;
  std::array<double, kMostSymbols> d{};
};

Dual apply_dual(Operator op, const Dual& a, const Dual& b, int symbols) {
  Dual result;
  result.value = programs::apply(op, a.value, b.value);
  for (int j = 0; j < symbols; ++j) {
    switch (op) {
      case Operator::add:
        result.d[j] = a.d[j] + b.d[j];
        break;
      case Operator::sub:
        result.d[j] = a.d[j] - b.d[j];
        break;
      case Operator::mul:
        result.d[j] = a.d[j] * b.value + a.value * b.d[j];
        break;
      case Operator::square:
        result.d[j] = 2 * a.value * a.d[j];
        break;
      case Operator::neg:
        result.d[j] = -a.d[j];
        break;
      default:
        result.d[j] = a.d[j];
    }
  }
  return result;
}

/// The normal equations of one pair: curvature [V, V], gradient [V].
struct Normal {
  std::array<std::array<double, kMostSymbols>, kMostSymbols> curvature{};
  std::array<double, kMostSymbols> gradient{};

  void add(const Dual& residual, double weight, int symbols) {
    for (int i = 0; i < symbols; ++i) {
      gradient[i] += weight * residual.value * residual.d[i];
      for (int j = 0; j < symbols; ++j) curvature[i][j] += weight * residual.d[i] * residual.d[j];
    }
  }

  /// The damped step, by Cholesky's decomposition in place.
  std::array<double, kMostSymbols> step(int symbols) {
    double trace = 0;
    for (int i = 0; i < symbols; ++i) trace += curvature[i][i];
    for (int i = 0; i < symbols; ++i) curvature[i][i] += kDamping * trace / symbols + 1e-300;
    for (int j = 0; j < symbols; ++j) {
      for (int k = 0; k < j; ++k) curvature[j][j] -= curvature[j][k] * curvature[j][k];
      curvature[j][j] = std::sqrt(curvature[j][j]);
      for (int i = j + 1; i < symbols; ++i) {
        for (int k = 0; k < j; ++k) curvature[i][j] -= curvature[i][k] * curvature[j][k];
        curvature[i][j] /= curvature[j][j];
      }
    }
    std::array<double, kMostSymbols> x{};
    for (int i = 0; i < symbols; ++i) {
      x[i] = -gradient[i];
      for (int k = 0; k < i; ++k) x[i] -= curvature[i][k] * x[k];
      x[i] /= curvature[i][i];
    }
    for (int i = symbols - 1; i >= 0; --i) {
      for (int k = i + 1; k < symbols; ++k) x[i] -= curvature[k][i] * x[k];
      x[i] /= curvature[i][i];
    }
    return x;
  }
};

/// One pair's fit.
class PairFit {
 public:
  PairFit(std::span<const Expression> formulas, const SharedPairs& pairs, std::size_t pair)
      : formulas_(formulas), pairs_(pairs), pair_(pair), symbols_(formulas[0].variables()) {}

  /// Improves `point` [V] in place and returns the objective there.
  double run(double* point) {
    for (const double floor : kFloors) {
      for (int step = 0; step < kSteps && improve(point, floor); ++step) {
      }
    }
    return objective(point, kFloors.back());
  }

 private:
  /// Returns whether it found anything better.
  bool improve(double* point, double floor) {
    Normal normal;
    for (std::size_t t = 0; t < formulas_.size(); ++t) {
      const Dual r = residual(t, point);
      normal.add(r, 1 / (floor + r.value * r.value), symbols_);
    }
    std::array<double, kMostSymbols> step = normal.step(symbols_);
    // Half the step, and half again, while it does not help.
    const double before = objective(point, floor);
    constexpr int kHalvings = 4;
    std::array<double, kMostSymbols> next{};
    for (int halving = 0; halving < kHalvings; ++halving) {
      for (int j = 0; j < symbols_; ++j) next[j] = point[j] + step[j];
      if (objective(next.data(), floor) < before) {
        std::copy_n(next.begin(), symbols_, point);
        return true;
      }
      for (double& x : step) x /= 2;
    }
    return false;
  }

  double objective(const double* point, double floor) {
    double sum = 0;
    for (std::size_t t = 0; t < formulas_.size(); ++t) {
      const double r = value(formulas_[t], point) - target(t);
      sum += std::log(floor + r * r / (scale(t) * scale(t)));
    }
    sum /= static_cast<double>(formulas_.size());
    return std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
  }

  Dual residual(std::size_t t, const double* point) {
    duals_.clear();
    for (const Node& node : formulas_[t].nodes()) {
      if (node.is_leaf()) {
        Dual leaf;
        leaf.value = point[node.variable];
        leaf.d[static_cast<std::size_t>(node.variable)] = 1;
        duals_.push_back(leaf);
      } else {
        duals_.push_back(apply_dual(node.op, duals_[static_cast<std::size_t>(node.left)],
                                    duals_[static_cast<std::size_t>(node.right)], symbols_));
      }
    }
    Dual r = duals_.back();
    r.value = (r.value - target(t)) / scale(t);
    for (int j = 0; j < symbols_; ++j) r.d[j] /= scale(t);
    return r;
  }

  double value(const Expression& formula, const double* point) {
    values_.clear();
    for (const Node& node : formula.nodes()) {
      values_.push_back(node.is_leaf() ? point[node.variable]
                                       : programs::apply(node.op, values_[static_cast<std::size_t>(node.left)],
                                                         values_[static_cast<std::size_t>(node.right)]));
    }
    return values_.back();
  }

  [[nodiscard]] double target(std::size_t t) const { return pairs_.y[t * pairs_.pairs + pair_]; }
  [[nodiscard]] double scale(std::size_t t) const { return pairs_.sigma[t]; }

  std::span<const Expression> formulas_;
  const SharedPairs& pairs_;
  std::size_t pair_;
  int symbols_;
  std::vector<Dual> duals_;
  std::vector<double> values_;
};

}  // namespace

SymbolFit fit_symbols(std::span<const Expression> formulas, const SharedPairs& pairs, std::span<const double> start) {
  SymbolFit fit{std::vector<double>(start.begin(), start.end()), std::vector<double>(pairs.pairs)};
  const auto symbols = static_cast<std::size_t>(formulas[0].variables());
  constexpr std::int64_t kGrain = 16;
  parallel_ranges(static_cast<std::int64_t>(pairs.pairs), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const auto pair = static_cast<std::size_t>(b);
      fit.objective[pair] = PairFit(formulas, pairs, pair).run(&fit.symbols[pair * symbols]);
    }
  });
  return fit;
}

}  // namespace roap::search
