#include "io/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace roap::io {

namespace {

// Units of the drawing; a chart is as wide as its column, at least 320 pixels, so that 12 units stay readable.
constexpr double kWidth = 420, kHeight = 270;
constexpr double kLeft = 52, kRight = 16, kTop = 10, kBottom = 40;
constexpr double kTextGap = 6;
constexpr std::size_t kMaxPoints = 300;  // of a line
constexpr int kLevels = 10;

std::string px(double value) { return fmt::format("{:.1f}", value); }

/// From data to drawing along one axis.
struct Scale {
  double low = 0, high = 1;  ///< of the data, after the logarithm
  double from = 0, to = 1;   ///< in the drawing
  bool log = false;

  [[nodiscard]] double map(double value) const {
    const double v = log ? std::log10(value) : value;
    return from + (to - from) * (v - low) / (high - low);
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool empty() const { return low > high; }
};

/// 1, 2 or 5 times a power of ten, such that about `count` steps cover the span.
double nice_step(double span, int count) {
  const double raw = span / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

std::vector<double> linear_ticks(double low, double high, int count) {
  const double step = nice_step(high - low, count);
  std::vector<double> ticks;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) ticks.push_back(k * step);
  return ticks;
}

/// Powers of ten, every so many of them; with 2 and 5 times those where there are few.
std::vector<double> log_ticks(double low, double high) {
  constexpr double kNarrow = 0.7;  // of a decade: too few such numbers fall into it
  if (high - low < kNarrow) return linear_ticks(std::pow(10.0, low), std::pow(10.0, high), 3);
  const int decades = static_cast<int>(std::ceil(high - low));
  const int stride = std::max(1, decades / 5);
  std::vector<double> ticks;
  for (int e = static_cast<int>(std::floor(low)); e <= static_cast<int>(std::ceil(high)); ++e) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1 && decades > 2) continue;
      if (e % stride != 0) continue;
      const double exponent = e + std::log10(factor);
      if (exponent >= low - 1e-9 && exponent <= high + 1e-9) ticks.push_back(std::pow(10.0, exponent));
    }
  }
  return ticks;
}

std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size >= 1e6) return fmt::format("{:.3g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.3g}k", value / 1e3);
  if (size > 0 && size < 1e-3) return fmt::format("{:.0e}", value);
  return fmt::format("{:.4g}", size < 1e-12 ? 0.0 : value);
}

Html svg_text(double x, double y, const char* anchor, const std::string& words, const std::string& style = "") {
  return element("text", {{"x", px(x)}, {"y", px(y)}, {"text-anchor", anchor}, {"class", style}}, text(words));
}

Html svg_line(double x1, double y1, double x2, double y2, const char* style) {
  return element("line", {{"x1", px(x1)}, {"y1", px(y1)}, {"x2", px(x2)}, {"y2", px(y2)}, {"class", style}});
}

/// Grid, numbers and names of both axes.
Html draw_axes(const ChartAxes& axes, const Scale& x, const Scale& y) {
  Html drawing;
  constexpr int kTicks = 5;
  const std::vector<double> rows = y.log ? log_ticks(y.low, y.high) : linear_ticks(y.low, y.high, kTicks);
  for (const double value : rows) {
    drawing += svg_line(kLeft, y.map(value), kWidth - kRight, y.map(value), "grid");
    drawing += svg_text(kLeft - kTextGap, y.map(value) + 4, "end", tick_text(value));
  }
  for (const double value : x.log ? log_ticks(x.low, x.high) : linear_ticks(x.low, x.high, kTicks)) {
    drawing += svg_line(x.map(value), kTop, x.map(value), kHeight - kBottom, "grid");
    drawing += svg_text(x.map(value), kHeight - kBottom + 16, "middle", tick_text(value));
  }
  drawing += svg_line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "axis");
  drawing += svg_line(kLeft, kTop, kLeft, kHeight - kBottom, "axis");
  drawing += svg_text((kLeft + kWidth - kRight) / 2, kHeight - kTextGap, "middle", axes.x, "name");
  return drawing;
}

/// The second round of colours has dashes, or is hollow.
std::string style_class(int style, const char* second) {
  return fmt::format("s{}{}", style % kChartColours, style / kChartColours % 2 == 1 ? second : "");
}
std::string line_class(int style) { return style_class(style, " dashed"); }
std::string dot_class(int style) { return style_class(style, " hollow") + " dot"; }

bool usable(const ChartPoint& p, const ChartAxes& axes) {
  return std::isfinite(p.x) && std::isfinite(p.y) && (!axes.log_x || p.x > 0) && (!axes.log_y || p.y > 0);
}

/// At most kMaxPoints points, each the mean of its neighbours (of their logarithms on such an axis).
std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points, const ChartAxes& axes) {
  std::vector<ChartPoint> kept;
  std::copy_if(points.begin(), points.end(), std::back_inserter(kept),
               [&](const ChartPoint& p) { return usable(p, axes); });
  const std::size_t group = (kept.size() + kMaxPoints - 1) / kMaxPoints;
  if (group <= 1) return kept;
  std::vector<ChartPoint> means;
  for (std::size_t begin = 0; begin < kept.size(); begin += group) {
    const std::size_t end = std::min(kept.size(), begin + group);
    const auto mean = [&](double ChartPoint::*value, bool log) {
      double sum = 0;
      for (std::size_t i = begin; i < end; ++i) sum += log ? std::log(kept[i].*value) : kept[i].*value;
      const double middle = sum / static_cast<double>(end - begin);
      return log ? std::exp(middle) : middle;
    };
    means.push_back({mean(&ChartPoint::x, axes.log_x), mean(&ChartPoint::y, axes.log_y)});
  }
  return means;
}

Scale x_scale(const Range& range, const ChartAxes& axes) {
  const double low = axes.log_x ? std::log10(range.low) : range.low;
  const double high = axes.log_x ? std::log10(range.high) : range.high;
  const double margin = low == high ? 0.5 : 0;
  return {low - margin, high + margin, kLeft, kWidth - kRight, axes.log_x};
}

Scale y_scale(const Range& range, const ChartAxes& axes) {
  constexpr double kMargin = 0.05;
  double low = axes.log_y ? std::log10(range.low) : axes.from_zero ? std::min(0.0, range.low) : range.low;
  double high = axes.log_y ? std::log10(range.high) : range.high;
  const double margin = high > low ? kMargin * (high - low) : std::max(0.1, std::abs(high) * kMargin);
  if (!axes.from_zero || low < 0) low -= margin;
  high += margin;
  return {low, high, kHeight - kBottom, kTop, axes.log_y};
}

Html dot(double x, double y, const char* radius, int style, const std::string& title = "") {
  return element("circle", {{"cx", px(x)}, {"cy", px(y)}, {"r", radius}, {"class", dot_class(style)}},
                 title.empty() ? Html() : element("title", title));
}

Html legend(const std::vector<Series>& series) {
  Html items;
  for (const Series& one : series) {
    const Html mark =
        one.marks == Marks::dots
            ? dot(12, 4, "3.5", one.style)
            : element("line", {{"x1", "0"}, {"y1", "4"}, {"x2", "24"}, {"y2", "4"}, {"class", line_class(one.style)}});
    items += element("li", element("svg", {{"viewBox", "0 0 24 8"}, {"class", "key"}, {"aria-hidden", "true"}}, mark) +
                               text(one.label));
  }
  return element("ul", {{"class", "legend"}}, items);
}

Html draw_series(const Series& series, const Scale& x, const Scale& y) {
  Html drawing;
  std::string path;
  for (const ChartPoint& p : series.points)
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x.map(p.x), y.map(p.y));
  const bool single = series.points.size() == 1;
  if (series.marks != Marks::dots && !single) {
    drawing += element("polyline", {{"points", path}, {"class", line_class(series.style)}});
  }
  if (series.marks == Marks::line && !single) return drawing;
  for (const ChartPoint& p : series.points) {
    drawing += dot(x.map(p.x), y.map(p.y), single ? "4" : "3", series.style, p.title);
  }
  return drawing;
}

Html figure(const ChartAxes& axes, const Html& drawing, const Html& below) {
  const Html svg = element(
      "svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)}, {"role", "img"}, {"aria-label", axes.title}},
      drawing);
  Html caption = text(axes.title);
  if (!axes.y.empty()) caption += text(" ") + element("small", axes.y);
  return element("figure", element("figcaption", caption) + svg + below);
}

double nearest_level(double symbol) {
  return std::clamp(std::round(kLevels * symbol), 1.0, static_cast<double>(kLevels));
}

/// A little to the side of its level, by its place in the list, so that points of one class do not hide one another.
double jittered(std::size_t index, int level) {
  constexpr double kGolden = 0.6180339887, kSpread = 0.06;
  const double fraction = static_cast<double>(index) * kGolden;
  return level / 10.0 + kSpread * (fraction - std::floor(fraction) - 0.5);
}

}  // namespace

std::string short_number(double value) {
  if (!std::isfinite(value)) return "not finite";
  const double size = std::abs(value);
  if (value == std::floor(value) && size < 1e6) return fmt::format("{:.0f}", value);
  if (size < 1e-5) return fmt::format("{:.1e}", value);
  if (size < 0.01) return fmt::format("{:.5f}", value);
  if (size < 1) return fmt::format("{:.3f}", value);
  if (size < 100) return fmt::format("{:.2f}", value);
  return size < 1e6 ? fmt::format("{:.0f}", value) : fmt::format("{:.2e}", value);
}

Html line_chart(const ChartAxes& axes, const std::vector<Series>& series) {
  Range x, y;
  std::vector<Series> lines;
  for (const Series& one : series) {
    Series line{one.label, thinned(one.points, axes), one.style, one.marks};
    for (const ChartPoint& p : line.points) x.add(p.x), y.add(p.y);
    if (!line.points.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) {
    return element("figure",
                   element("figcaption", axes.title) + paragraph("No values: nothing was logged yet.", "note"));
  }
  const Scale sx = x_scale(x, axes), sy = y_scale(y, axes);
  Html drawing = draw_axes(axes, sx, sy);
  for (const Series& line : lines) drawing += draw_series(line, sx, sy);
  return figure(axes, drawing, lines.size() > 1 ? legend(lines) : Html());
}

Html symbol_scatter(const std::vector<SymbolPoint>& train, const std::vector<SymbolPoint>& test) {
  const ChartAxes axes{"Symbols against levels", "true level", "grounder's number"};
  Range y;
  for (const auto* points : {&train, &test}) {
    for (const SymbolPoint& p : *points) {
      if (std::isfinite(p.symbol)) y.add(p.symbol);
    }
  }
  if (y.empty()) return element("figure", element("figcaption", axes.title) + paragraph("No finite symbols.", "note"));
  y.add(0.1);
  y.add(1);
  const Scale sx{0.05, 1.05, kLeft, kWidth - kRight}, sy = y_scale(y, axes);
  Html drawing = draw_axes(axes, sx, sy) + svg_line(sx.map(0.1), sy.map(0.1), sx.map(1), sy.map(1), "diagonal");
  constexpr int kTestStyle = 1;
  for (const auto* points : {&train, &test}) {
    const int style = points == &test ? kTestStyle : 0;
    for (std::size_t i = 0; i < points->size(); ++i) {
      const SymbolPoint& p = (*points)[i];
      if (!std::isfinite(p.symbol)) continue;
      drawing += dot(sx.map(jittered(i, p.level)), sy.map(p.symbol), "2", style);
    }
  }
  return figure(axes, drawing, legend({{"training images", {}, 0}, {"test images", {}, kTestStyle}}));
}

Html stacked_bars(const std::string& title, const std::vector<StackedBar>& bars) {
  std::vector<Series> names;  // in the order of their first part
  const auto style_of = [&names](const std::string& name) {
    const auto known = std::ranges::find(names, name, &Series::label);
    if (known != names.end()) return known->style;
    names.push_back({name, {}, static_cast<int>(names.size()), Marks::dots});
    return names.back().style;
  };
  Html content = element("figcaption", title);
  for (const StackedBar& bar : bars) {
    double whole = 0;
    for (const auto& [name, size] : bar.parts) whole += size;
    Html parts;
    for (const auto& [name, size] : bar.parts) {
      parts += element("span", {{"class", style_class(style_of(name), " hollow")},
                                {"style", fmt::format("flex-grow:{:.4f}", size / whole)},
                                {"title", fmt::format("{} {:.1f} %", name, 100 * size / whole)}});
    }
    content += element("small", bar.label) + element("div", {{"class", "bar"}}, parts);
  }
  return element("figure", content + legend(names));
}

Html heat_table(const HeatTable& table) {
  Html head = element("th", table.corner);
  for (const std::string& column : table.columns) head += element("th", column);
  Html rows = element("tr", head);
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    Html row = element("th", table.rows[r]);
    for (const double share : table.cells[r]) {
      if (!(share >= 0)) {
        row += element("td", table.empty);
        continue;
      }
      // Dark cells get light words and empty ones pale words: the style sheet knows by the class.
      const std::string style = share > 0.55 ? "heat deep" : share < 0.005 ? "none" : "heat";
      row += element("td", {{"class", style}, {"style", fmt::format("--share:{:.3f}", share)}},
                     text(fmt::format("{:.0f}", 100 * share)));
    }
    rows += element("tr", row);
  }
  return element("div", {{"class", "scroll"}}, element("table", {{"class", "heatmap"}}, rows));
}

Html confusion_table(const std::vector<SymbolPoint>& points) {
  HeatTable table;
  table.corner = "true";
  table.empty = "-";
  std::vector<std::vector<double>> count(kLevels, std::vector<double>(kLevels, 0));
  std::vector<double> all(kLevels, 0);
  for (const SymbolPoint& p : points) {
    if (!std::isfinite(p.symbol)) continue;
    ++count[static_cast<std::size_t>(p.level - 1)][static_cast<std::size_t>(nearest_level(p.symbol)) - 1];
    ++all[static_cast<std::size_t>(p.level - 1)];
  }
  for (std::size_t k = 0; k < kLevels; ++k) {
    table.rows.push_back(fmt::format("{:.1f}", static_cast<double>(k + 1) / kLevels));
    table.columns.push_back(table.rows.back());
    for (double& c : count[k]) c = all[k] > 0 ? c / all[k] : -1;
  }
  table.cells = std::move(count);
  return heat_table(table);
}

}  // namespace roap::io
