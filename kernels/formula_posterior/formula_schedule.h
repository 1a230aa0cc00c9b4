#pragma once

#include <algorithm>
#include <vector>

#include "kernels/formula_posterior/formula_posterior.h"

// The order in which a device computes a FormulaGraph: level by level, an entry being one level above its higher
// argument, so that all entries of a level can be computed side by side. Gradients are gathered from an entry's users,
// level by level from the last, so that their sums have an order.

namespace roap {

/// Entry `target` from two earlier ones.
struct alignas(16) FormulaStep {
  std::int32_t target, left, right;
  FormulaOperator op;
};

/// A place where an entry is an argument: `gradient` is the entry that has it there, `factor` the entry whose value its
/// gradient is multiplied by, or kPlus or kMinus.
struct alignas(8) FormulaUse {
  static constexpr std::int32_t kPlus = -1, kMinus = -2;
  std::int32_t gradient, factor;
};

/// An entry and its uses [first, last) in the list of all.
struct alignas(16) FormulaUses {
  std::int32_t entry, first, last;
};

struct FormulaSchedule {
  std::vector<FormulaStep> steps;        ///< level by level, entries in order
  std::vector<std::int32_t> first_step;  ///< of levels 1, 2, ... and the end
  std::vector<FormulaUse> uses;          ///< entry by entry
  std::vector<FormulaUses> users;        ///< of all symbols, then of other entries with any, last level first
  std::vector<std::int32_t> first_user;  ///< of each of those levels, and the end

  explicit FormulaSchedule(const FormulaGraph& formulas) {
    const std::vector<std::vector<std::int32_t>> levels = levels_of(formulas);
    add_steps(formulas, levels);
    add_users(formulas, levels);
  }

 private:
  /// Entries of every level; symbols are level 0.
  static std::vector<std::vector<std::int32_t>> levels_of(const FormulaGraph& formulas) {
    std::vector<std::vector<std::int32_t>> levels(1);
    std::vector<std::size_t> level(formulas.op.size(), 0);
    for (std::size_t k = 0; k < level.size(); ++k) {
      if (formulas.op[k] != FormulaOperator::symbol) {
        level[k] = 1 + std::max(level[static_cast<std::size_t>(formulas.left[k])],
                                level[static_cast<std::size_t>(formulas.right[k])]);
      }
      if (level[k] == levels.size()) levels.emplace_back();
      levels[level[k]].push_back(static_cast<std::int32_t>(k));
    }
    return levels;
  }

  void add_steps(const FormulaGraph& formulas, const std::vector<std::vector<std::int32_t>>& levels) {
    for (std::size_t level = 1; level < levels.size(); ++level) {
      first_step.push_back(static_cast<std::int32_t>(steps.size()));
      for (const std::int32_t k : levels[level]) {
        const auto i = static_cast<std::size_t>(k);
        steps.push_back({k, formulas.left[i], formulas.right[i], formulas.op[i]});
      }
    }
    first_step.push_back(static_cast<std::int32_t>(steps.size()));
  }

  void add_users(const FormulaGraph& formulas, const std::vector<std::vector<std::int32_t>>& levels) {
    std::vector<std::vector<FormulaUse>> of_entry(formulas.op.size());
    for (const FormulaStep& step : steps) {
      const bool product = step.op == FormulaOperator::mul;
      const std::int32_t second = step.op == FormulaOperator::sub ? FormulaUse::kMinus : FormulaUse::kPlus;
      of_entry[static_cast<std::size_t>(step.left)].push_back({step.target, product ? step.right : FormulaUse::kPlus});
      of_entry[static_cast<std::size_t>(step.right)].push_back({step.target, product ? step.left : second});
    }
    const auto add = [&](std::int32_t k) {
      const std::vector<FormulaUse>& own = of_entry[static_cast<std::size_t>(k)];
      const auto first = static_cast<std::int32_t>(uses.size());
      uses.insert(uses.end(), own.begin(), own.end());
      users.push_back({k, first, static_cast<std::int32_t>(uses.size())});
    };
    for (const std::int32_t symbol : levels[0]) add(symbol);
    for (std::size_t level = levels.size() - 1; level > 0; --level) {
      first_user.push_back(static_cast<std::int32_t>(users.size()));
      for (const std::int32_t k : levels[level]) {
        if (!of_entry[static_cast<std::size_t>(k)].empty()) add(k);
      }
    }
    first_user.push_back(static_cast<std::int32_t>(users.size()));
  }
};

namespace cuda {

/// A FormulaSchedule on the device, with the penalties [K].
struct FormulaTables {
  int levels = 0;  ///< above the symbols
  const FormulaStep* steps = nullptr;
  const std::int32_t* first_step = nullptr;
  const FormulaUse* uses = nullptr;
  const FormulaUses* users = nullptr;
  const std::int32_t* first_user = nullptr;
  const float* penalty = nullptr;
};

}  // namespace cuda
}  // namespace roap
