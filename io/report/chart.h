#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "io/report/html.h"

namespace roap::io {

struct ChartPoint {
  double x = 0, y = 0;
  std::string title{};  ///< shown when the pointer rests on its dot
};

enum class Marks : std::uint8_t { line, dots, both };

/// One line of a chart, or a cloud of dots. `style` chooses colour and dashes (hollow dots): the same number looks the
/// same in every chart.
struct Series {
  std::string label;
  std::vector<ChartPoint> points;  ///< by rising x; those that are not finite are left out
  int style = 0;
  Marks marks = Marks::line;
};
inline constexpr int kChartColours = 8;  ///< then come the same ones with dashes

/// What a chart shows besides its data.
struct ChartAxes {
  std::string title, x, y;  ///< heading and names of the axes
  bool log_y = false;       ///< where all values are positive; points that are not are left out
  bool from_zero = false;   ///< the y axis begins at 0
  bool log_x = false;       ///< as log_y
};

/// Lines over common axes, with a legend where there are several. Long series are thinned by averaging neighbours.
/// A sentence stands in the place of a chart without points.
Html line_chart(const ChartAxes& axes, const std::vector<Series>& series);

/// A bar for each row, divided into the shares of its parts, with a legend.
struct StackedBar {
  std::string label;
  std::vector<std::pair<std::string, double>> parts;  ///< name and size, in the bar's order
};
Html stacked_bars(const std::string& title, const std::vector<StackedBar>& bars);

/// One image's number beside the level that it should be.
struct SymbolPoint {
  int level = 1;      ///< k in 1..10; the true symbol is k / 10
  double symbol = 0;  ///< the grounder's number
};

/// Symbols against levels; the diagonal is where they should be.
Html symbol_scatter(const std::vector<SymbolPoint>& train, const std::vector<SymbolPoint>& test);

/// Share of a class' images (rows) whose nearest level is each one (columns), as a coloured table.
Html confusion_table(const std::vector<SymbolPoint>& points);

/// A coloured table of shares from 0 to 1; a negative one is an empty cell. `cells` [rows][columns].
struct HeatTable {
  std::string corner;  ///< what rows and columns are
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> cells;
  std::string empty = "";  ///< stands in an empty cell
};
Html heat_table(const HeatTable& table);

/// "0.00123", "0.25", "12.3", "1.2e-06": three digits that matter.
std::string short_number(double value);

}  // namespace roap::io
