#include "io/search_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "io/suggest.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace {

constexpr std::size_t kFewestRows = 2;  // one row has no variance to compare errors with

[[noreturn]] void fail_column(const CsvTable& table, const std::string& name) {
  throw DataError(fmt::format("{}:1: no column {}{} (there are: {})", table.label, name, suggestion(name, table.names),
                              fmt::join(table.names, ", ")));
}

int require_column(const CsvTable& table, const std::string& name) {
  const int column = table.find(name);
  if (column < 0) fail_column(table, name);
  return column;
}

std::string numbered(const std::string& prefix, int number) { return fmt::format("{}{}", prefix, number); }

const std::string& text(const CsvTable& table, std::size_t row, int column) {
  return table.rows[row][static_cast<std::size_t>(column)].text;
}

programs::Expression gold_formula(const CsvTable& table, std::size_t row, int column, int variables) {
  try {
    return programs::parse_expression(text(table, row, column), variables);
  } catch (const UsageError& error) {
    throw DataError(table.where(row, column) + error.what());
  }
}

/// Rows of each task in the order of the tasks' first rows.
std::vector<std::vector<std::size_t>> rows_by_task(const CsvTable& table, int task_column) {
  std::vector<std::vector<std::size_t>> groups;
  std::map<std::string, std::size_t> index;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::string name = task_column < 0 ? "" : text(table, row, task_column);
    const auto [entry, is_new] = index.try_emplace(name, groups.size());
    if (is_new) groups.emplace_back();
    groups[entry->second].push_back(row);
  }
  return groups;
}

}  // namespace

int symbol_columns(const CsvTable& table, const std::string& prefix) {
  int variables = 0;
  while (table.find(numbered(prefix, variables + 1)) >= 0) ++variables;
  if (variables == 0) {
    if (prefix == "s" && table.find("x1") >= 0) {
      throw DataError(fmt::format("{}:1: the table has image columns x1..; a run reads them: roap solve RUN {}",
                                  table.label, table.label));
    }
    fail_column(table, numbered(prefix, 1));
  }
  constexpr int kLargestNumber = 99;
  for (int later = variables + 2; later <= kLargestNumber; ++later) {
    if (table.find(numbered(prefix, later)) >= 0) fail_column(table, numbered(prefix, variables + 1));
  }
  return variables;
}

std::vector<double> read_symbols(const CsvTable& table, int variables) {
  std::vector<double> symbols;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    for (int j = 1; j <= variables; ++j) symbols.push_back(table.number(row, require_column(table, numbered("s", j))));
  }
  return symbols;
}

std::vector<std::string> read_image_paths(const CsvTable& table, int variables) {
  const std::filesystem::path folder = std::filesystem::path(table.label).parent_path();
  std::vector<std::string> paths;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    for (int j = 1; j <= variables; ++j) {
      const int column = require_column(table, numbered("x", j));
      if (text(table, row, column).empty()) throw DataError(table.where(row, column) + "expected the path of an image");
      paths.push_back((folder / text(table, row, column)).string());
    }
  }
  return paths;
}

SearchTable make_search_table(const CsvTable& table, int variables, std::span<const double> symbols) {
  const int y_column = require_column(table, "y");
  const int task_column = table.find("task");
  const int gold_column = table.find("gold");
  const auto count = static_cast<std::size_t>(variables);
  SearchTable result;
  result.variables = variables;
  result.named = task_column >= 0;
  if (table.rows.empty()) throw DataError(fmt::format("{}: the table has no rows", table.label));
  result.rows = rows_by_task(table, task_column);
  for (const std::vector<std::size_t>& rows : result.rows) {
    search::TaskRows task{result.named ? text(table, rows[0], task_column) : "", rows.size(), {}, {}};
    if (rows.size() < kFewestRows) {
      throw DataError(fmt::format("{}:{}: {}one row is too little to find a formula; at least {} are needed",
                                  table.label, table.rows[rows[0]][0].line,
                                  result.named ? fmt::format("task {}: ", task.name) : "", kFewestRows));
    }
    for (std::size_t j = 0; j < count; ++j) {
      for (const std::size_t row : rows) task.symbols.push_back(symbols[row * count + j]);
    }
    for (const std::size_t row : rows) task.y.push_back(table.number(row, y_column));
    result.gold.emplace_back();
    if (gold_column >= 0) result.gold.back() = gold_formula(table, rows[0], gold_column, variables);
    for (const std::size_t row : rows) {
      if (gold_column < 0 || text(table, row, gold_column) == text(table, rows[0], gold_column)) continue;
      throw DataError(table.where(row, gold_column) +
                      fmt::format("another formula than in line {} of the same task", table.rows[rows[0]][0].line));
    }
    result.tasks.push_back(std::move(task));
  }
  for (const std::string& name : table.names) {
    const bool symbol = name.size() >= 2 && (name[0] == 's' || name[0] == 'x') &&
                        name.find_first_not_of("0123456789", 1) == std::string::npos;
    if (!symbol && name != "y" && name != "task" && name != "gold") result.unused.push_back(name);
  }
  return result;
}

}  // namespace roap::io
