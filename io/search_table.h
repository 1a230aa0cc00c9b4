#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/csv.h"
#include "models/programs/expression.h"
#include "models/search/formula_search.h"

namespace roap::io {

/// The tasks of a table.
struct SearchTable {
  int variables = 0;
  bool named = false;  ///< the table has a column `task`
  std::vector<search::TaskRows> tasks;
  std::vector<std::vector<std::size_t>> rows;  ///< of the table, by task
  /// The formula in column `gold`, one per task, where there is such a column.
  std::vector<std::optional<programs::Expression>> gold;
  std::vector<std::string> unused;  ///< columns that mean nothing here
};

/// V, the number of columns PREFIX1, PREFIX2, .. in a row ("s" or "x"). DataError when there is none or one is left
/// out.
int symbol_columns(const CsvTable& table, const std::string& prefix);

/// The numbers in the columns s1..sV, [rows, V].
std::vector<double> read_symbols(const CsvTable& table, int variables);

/// The image paths in the columns x1..xV, [rows, V]; a relative path starts at the table's folder. DataError for an
/// empty one.
std::vector<std::string> read_image_paths(const CsvTable& table, int variables);

/// Collects the rows of each task: column y, and where they are there `task` (in any order) and `gold` (the formula to
/// compare with). symbols [rows, V]. DataError names what is missing or wrong: a column, a number, fewer than two rows
/// of a task, two gold formulas of one task.
SearchTable make_search_table(const CsvTable& table, int variables, std::span<const double> symbols);

}  // namespace roap::io
