#include "io/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "io/file_util.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace {

/// Cuts the text into records of fields.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& label) : text_(text), label_(label) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text_.starts_with(kByteOrderMark)) position_ = kByteOrderMark.size();
    line_begin_ = position_;
  }

  [[nodiscard]] bool at_end() {
    while (accept_line_end()) {
    }
    return position_ == text_.size();
  }

  std::vector<CsvField> record() {
    std::vector<CsvField> fields;
    do {
      fields.push_back(field());
    } while (accept(','));
    if (position_ != text_.size() && !accept_line_end()) {
      fail(line_, column(), "expected a comma or the end of the line behind the closing quote");
    }
    return fields;
  }

 private:
  CsvField field() {
    CsvField field{"", line_, column()};
    if (accept('"')) {
      read_quoted(field);
    } else {
      const std::size_t end = std::min(text_.find_first_of(",\r\n", position_), text_.size());
      field.text = text_.substr(position_, end - position_);
      if (const std::size_t quote = field.text.find('"'); quote != std::string::npos) {
        fail(line_, column() + static_cast<int>(quote), "a quote inside a field: put the whole field into quotes");
      }
      position_ = end;
    }
    return field;
  }

  void read_quoted(CsvField& field) {
    for (;;) {
      if (position_ == text_.size()) fail(field.line, field.column, "the quote that opens here is not closed");
      if (accept('"')) {
        if (!accept('"')) return;
        field.text += '"';
      } else {
        const bool line_end = text_[position_] == '\n';
        field.text += text_[position_++];
        if (line_end) next_line();
      }
    }
  }

  bool accept(char c) {
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  bool accept_line_end() {
    const bool crlf = text_.substr(position_).starts_with("\r\n");
    if (!crlf && (position_ == text_.size() || text_[position_] != '\n')) return false;
    position_ += crlf ? 2 : 1;
    next_line();
    return true;
  }

  void next_line() {
    ++line_;
    line_begin_ = position_;
  }

  [[nodiscard]] int column() const { return static_cast<int>(position_ - line_begin_) + 1; }

  [[noreturn]] void fail(int line, int column, const std::string& reason) const {
    throw DataError(fmt::format("{}:{}:{}: {}", label_, line, column, reason));
  }

  std::string_view text_;
  const std::string& label_;
  std::size_t position_ = 0;
  std::size_t line_begin_ = 0;
  int line_ = 1;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  const std::size_t last = text.find_last_not_of(" \t");
  return last == std::string_view::npos ? std::string_view() : text.substr(first, last - first + 1);
}

}  // namespace

int CsvTable::find(std::string_view name) const {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? -1 : static_cast<int>(found - names.begin());
}

std::string CsvTable::where(std::size_t row, int column) const {
  const CsvField& field = rows[row][static_cast<std::size_t>(column)];
  return fmt::format("{}:{}:{}: column {}: ", label, field.line, field.column, names[static_cast<std::size_t>(column)]);
}

double CsvTable::number(std::size_t row, int column) const {
  std::string_view text = trimmed(rows[row][static_cast<std::size_t>(column)].text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string found = fmt::format("found \"{}\"", rows[row][static_cast<std::size_t>(column)].text);
  if (error == std::errc::result_out_of_range)
    throw DataError(where(row, column) + "the number is too large, " + found);
  if (error != std::errc() || stop != text.data() + text.size()) {
    throw DataError(where(row, column) + "expected a number, " + found);
  }
  if (!std::isfinite(value)) throw DataError(where(row, column) + "expected a finite number, " + found);
  return value;
}

CsvTable parse_csv(std::string_view text, const std::string& label) {
  CsvTable table;
  table.label = label;
  CsvReader reader(text, label);
  if (reader.at_end()) throw DataError(fmt::format("{}: the table is empty; its first line names the columns", label));
  for (const CsvField& field : reader.record()) {
    const std::string name(trimmed(field.text));
    if (table.find(name) >= 0) {
      throw DataError(fmt::format("{}:{}:{}: two columns are named \"{}\"", label, field.line, field.column, name));
    }
    table.names.push_back(name);
  }
  while (!reader.at_end()) {
    std::vector<CsvField> record = reader.record();
    if (record.size() != table.names.size()) {
      const CsvField& at = record.size() > table.names.size() ? record[table.names.size()] : record.front();
      throw DataError(fmt::format("{}:{}:{}: {} fields, but the header has {} columns", label, at.line, at.column,
                                  record.size(), table.names.size()));
    }
    table.rows.push_back(std::move(record));
  }
  return table;
}

CsvTable read_csv(const std::filesystem::path& path) { return parse_csv(read_file(path), path.string()); }

}  // namespace roap::io
