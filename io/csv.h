#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace roap::io {

/// One field of a table, with where it begins.
struct CsvField {
  std::string text;
  int line = 1, column = 1;  ///< 1-based; the column counts bytes
};

/// A table with a header line, as RFC 4180 has it: commas, quotes around fields with commas, quotes or line ends, a
/// quote within them doubled; lines end with LF or CRLF. A byte order mark and empty lines are skipped.
struct CsvTable {
  std::string label;  ///< names the table in messages
  std::vector<std::string> names;
  std::vector<std::vector<CsvField>> rows;

  /// Index of the column of that name, or -1.
  [[nodiscard]] int find(std::string_view name) const;
  /// The field as a finite number, else DataError "LABEL:3:7: column y: expected a number, found \"abc\"".
  [[nodiscard]] double number(std::size_t row, int column) const;
  /// "LABEL:3:7: column y: "
  [[nodiscard]] std::string where(std::size_t row, int column) const;
};

/// DataError with LABEL:line:column when a quote is not closed, something stands behind a closing quote, a row has more
/// or fewer fields than the header, two columns have the same name, or there is no header.
CsvTable parse_csv(std::string_view text, const std::string& label);

/// The same for a file; DataError when it cannot be read.
CsvTable read_csv(const std::filesystem::path& path);

}  // namespace roap::io
