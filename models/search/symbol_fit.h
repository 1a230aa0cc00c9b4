#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "models/programs/expression.h"

namespace roap::search {

/// Pairs of a task set: the same hidden symbols give the y of every task.
struct SharedPairs {
  std::size_t pairs = 0;
  std::span<const float> y;      ///< [T, pairs]
  std::span<const float> sigma;  ///< [T], the scale of y
};

struct SymbolFit {
  std::vector<double> symbols;    ///< [pairs, V]
  std::vector<double> objective;  ///< [pairs], what is left: mean over the tasks of log(floor + residual^2 / sigma^2)
};

/// Looks, for every pair, for the symbols near `start` [pairs, V] under which the tasks' formulas give its y. With many
/// more tasks than symbols the few numbers behind a pair are overdetermined, so that neither a noisy start nor some
/// wrong formulas matter: the objective is the robust one that training minimises, solved by reweighted Gauss-Newton
/// steps while its floor falls. One formula per task, all over V symbols.
SymbolFit fit_symbols(std::span<const programs::Expression> formulas, const SharedPairs& pairs,
                      std::span<const double> start);

}  // namespace roap::search
