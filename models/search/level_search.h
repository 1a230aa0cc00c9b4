#pragma once

#include <functional>
#include <span>
#include <vector>

#include "models/search/best_list.h"
#include "models/search/formula_search.h"

namespace roap::search {

/// Tries all formulas on some tasks at once: those of an enumeration, whose values are kept, and those with one
/// operator more, which are only tried.
class LevelSearch {
 public:
  /// On `device`, which has the enumeration's formulas, unless it is null.
  LevelSearch(const Enumeration& formulas, std::span<const TaskRows> tasks, int max_operators, SearchDevice* device);

  void run(const std::function<void(const SearchProgress&)>& progress);
  [[nodiscard]] double candidates() const { return candidates_; }
  /// The best formulas with so many operators, by errors on the rows that they were tried on.
  [[nodiscard]] const BestList& list(std::size_t task, int operators) const {
    return lists_[static_cast<std::size_t>(operators) * tasks_.size() + task];
  }

  /// Formulas are tried on at most kRows rows of a task, evenly spread.
  static constexpr std::size_t kRows = 256;
  static std::size_t rows_of(const TaskRows& task) { return std::min(task.rows, kRows); }
  /// Memory for one task: its rows' values of all formulas, and its lists.
  static std::size_t bytes_for(const TaskRows& task, std::size_t formulas, int max_operators);

 private:
  [[nodiscard]] double* row(std::size_t formula) { return values_.data() + formula * y_.size(); }
  [[nodiscard]] const double* row(std::size_t formula) const { return values_.data() + formula * y_.size(); }
  void run_on_device(const std::function<void(const SearchProgress&)>& progress);
  void add_best(BestList* lists);
  void fill_symbols();
  void fill_values();
  void try_formula(programs::Operator op, std::uint32_t left, std::uint32_t right, BestList* lists, bool stored) const;
  void try_stored();
  void try_next_level(const std::function<void(const SearchProgress&)>& progress);
  void try_pieces(const Enumeration::Block& block, std::int64_t first, std::int64_t count, BestList* lists);

  const Enumeration& formulas_;
  std::span<const TaskRows> tasks_;
  int max_operators_;
  SearchDevice* device_;
  std::vector<RowSegment> segments_;
  std::vector<double> y_;        ///< [rows of all tasks]
  std::vector<double> values_;   ///< [formulas, rows of all tasks]; on a device only the symbols'
  std::vector<BestList> lists_;  ///< [operators, tasks]
  double candidates_ = 0;
};

}  // namespace roap::search
