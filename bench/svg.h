#pragma once

#include <string>
#include <vector>

namespace roap::bench {

/// A log-log chart as inline SVG. Colours and text sizes come from the page's style sheet (classes s0, s1, ... of
/// series), so that the page decides how it looks in the dark.
class LogChart {
 public:
  struct Series {
    std::string name;
    std::vector<std::pair<double, double>> points;
    bool line = true, dashed = false, dots = true;
    int colour = 0;
    std::vector<std::string> titles{};  ///< shown when the pointer rests on a point; empty: none
    bool hollow = false;                ///< dots
  };

  LogChart(std::string title, std::string x_label, std::string y_label)
      : title_(std::move(title)), x_label_(std::move(x_label)), y_label_(std::move(y_label)) {}
  /// Points with a coordinate that is not positive are dropped.
  void add(Series series);
  [[nodiscard]] bool empty() const { return series_.empty(); }
  [[nodiscard]] std::string svg() const;

 private:
  std::string title_, x_label_, y_label_;
  std::vector<Series> series_;
};

/// Stacked horizontal bars: each bar has a label and shares of its total.
struct StackedBar {
  std::string label;
  std::vector<std::pair<std::string, double>> parts;  ///< name and share
};
std::string stacked_bars_svg(const std::string& title, const std::vector<StackedBar>& bars);

/// Text with HTML's special characters replaced.
std::string escaped(const std::string& text);

}  // namespace roap::bench
