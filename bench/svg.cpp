#include "bench/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace roap::bench {

namespace {

constexpr double kWidth = 400, kHeight = 300;
constexpr double kLeft = 52, kRight = 12, kTop = 28, kBottom = 40;

/// A logarithmic axis from a power of ten or its double or quintuple to another.
struct Scale {
  double low = 0, high = 1;  ///< log10
  double from = 0, to = 1;   ///< on the page
  [[nodiscard]] double at(double value) const { return from + (std::log10(value) - low) / (high - low) * (to - from); }
};

Scale scale_of(double least, double most, double from, double to) {
  double low = std::log10(least), high = std::log10(most);
  const double margin = std::max(0.05 * (high - low), 0.05);
  return {low - margin, high + margin, from, to};
}

std::string short_number(double value) {
  struct Unit {
    double size;
    const char* name;
  };
  for (const Unit& unit : {Unit{1e9, "G"}, Unit{1e6, "M"}, Unit{1e3, "k"}}) {
    if (value >= unit.size) return fmt::format("{:g}{}", value / unit.size, unit.name);
  }
  return fmt::format("{:g}", value);
}

/// Places for labels: powers of ten, or 1, 2 and 5 of each where there are few.
std::vector<double> ticks(const Scale& scale) {
  std::vector<double> places;
  const bool few = scale.high - scale.low < 2.5;
  for (int power = static_cast<int>(std::floor(scale.low)); power <= scale.high; ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double place = std::log10(factor) + power;
      if ((factor == 1 || few) && place >= scale.low && place <= scale.high)
        places.push_back(factor * std::pow(10, power));
    }
  }
  const auto too_many = static_cast<std::size_t>(8);
  while (places.size() > too_many) {
    for (std::size_t i = 1; i < places.size(); ++i) places.erase(places.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return places;
}

std::string text_at(double x, double y, const std::string& anchor, const std::string& text,
                    const std::string& more = "") {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'{}>{}</text>\n", x, y, anchor, more, escaped(text));
}

std::string open_svg(double height, const std::string& title) {
  return fmt::format("<svg viewBox='0 0 {} {}' role='img' aria-label='{}'>\n<title>{}</title>\n", kWidth, height,
                     escaped(title), escaped(title)) +
         text_at(kWidth / 2, 16, "middle", title, " class='title'");
}

std::string axes(const Scale& x, const Scale& y, const std::string& x_label, const std::string& y_label) {
  std::string out;
  for (const double tick : ticks(x)) {
    out += fmt::format("<line class='grid' x1='{0:.1f}' x2='{0:.1f}' y1='{1:.1f}' y2='{2:.1f}'/>\n", x.at(tick), y.from,
                       y.to);
    out += text_at(x.at(tick), y.from + 13, "middle", short_number(tick));
  }
  for (const double tick : ticks(y)) {
    out += fmt::format("<line class='grid' x1='{1:.1f}' x2='{2:.1f}' y1='{0:.1f}' y2='{0:.1f}'/>\n", y.at(tick), x.from,
                       x.to);
    out += text_at(x.from - 4, y.at(tick) + 4, "end", short_number(tick));
  }
  out += text_at((x.from + x.to) / 2, y.from + 29, "middle", x_label);
  return out + text_at(0, 0, "middle", y_label,
                       fmt::format(" transform='translate(11 {:.1f}) rotate(-90)'", (y.from + y.to) / 2));
}

std::string dot(const LogChart::Series& series, double x, double y, const std::string& title) {
  return fmt::format("<circle class='s{}{}' cx='{:.1f}' cy='{:.1f}' r='3'>{}</circle>\n", series.colour,
                     series.hollow ? " hollow" : "", x, y, title);
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void LogChart::add(Series series) {
  Series kept = series;
  kept.points.clear();
  kept.titles.clear();
  for (std::size_t i = 0; i < series.points.size(); ++i) {
    if (!(series.points[i].first > 0 && series.points[i].second > 0)) continue;
    kept.points.push_back(series.points[i]);
    if (!series.titles.empty()) kept.titles.push_back(series.titles[i]);
  }
  if (!kept.points.empty()) series_.push_back(std::move(kept));
}

std::string LogChart::svg() const {
  std::vector<double> xs, ys;
  for (const Series& series : series_) {
    for (const auto& [x, y] : series.points) {
      xs.push_back(x);
      ys.push_back(y);
    }
  }
  const auto [x_least, x_most] = std::minmax_element(xs.begin(), xs.end());
  const auto [y_least, y_most] = std::minmax_element(ys.begin(), ys.end());
  const double legend = 14 * static_cast<double>((series_.size() + 1) / 2);
  const Scale x = scale_of(*x_least, *x_most, kLeft, kWidth - kRight);
  const Scale y = scale_of(*y_least, *y_most, kHeight - kBottom, kTop);
  std::string out = open_svg(kHeight + legend, title_) + axes(x, y, x_label_, y_label_);
  for (std::size_t i = 0; i < series_.size(); ++i) {
    const Series& series = series_[i];
    std::string path;
    for (const auto& [px, py] : series.points) path += fmt::format("{:.1f},{:.1f} ", x.at(px), y.at(py));
    if (series.line) {
      out +=
          fmt::format("<polyline class='s{}{}' points='{}'/>\n", series.colour, series.dashed ? " dashed" : "", path);
    }
    for (std::size_t k = 0; series.dots && k < series.points.size(); ++k) {
      const std::string title =
          series.titles.empty() ? "" : fmt::format("<title>{}</title>", escaped(series.titles[k]));
      out += dot(series, x.at(series.points[k].first), y.at(series.points[k].second), title);
    }
    const double left = i % 2 == 0 ? kLeft : kWidth / 2 + 12, top = kHeight + 4 + 14 * static_cast<double>(i / 2);
    if (series.line) {
      out += fmt::format("<line class='s{0}{1}' x1='{2:.1f}' x2='{3:.1f}' y1='{4:.1f}' y2='{4:.1f}'/>\n", series.colour,
                         series.dashed ? " dashed" : "", left - 22, left - 6, top - 4);
    } else {
      out += dot(series, left - 10, top - 4, "");
    }
    out += text_at(left, top, "start", series.name);
  }
  return out + "</svg>\n";
}

std::string stacked_bars_svg(const std::string& title, const std::vector<StackedBar>& bars) {
  constexpr double kBar = 34, kColours = 10;
  std::vector<std::string> names;
  for (const StackedBar& bar : bars) {
    for (const auto& [name, share] : bar.parts) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  const double legend_top = kTop + kBar * static_cast<double>(bars.size()) + 10;
  std::string out = open_svg(legend_top + 14 * std::ceil(static_cast<double>(names.size()) / 2), title);
  for (std::size_t b = 0; b < bars.size(); ++b) {
    const double top = kTop + kBar * static_cast<double>(b);
    double total = 0, before = 0;
    for (const auto& [name, share] : bars[b].parts) total += share;
    out += text_at(kRight, top + 10, "start", bars[b].label);
    for (const auto& [name, share] : bars[b].parts) {
      const auto index = std::find(names.begin(), names.end(), name) - names.begin();
      const double width = (kWidth - 2 * kRight) / total;
      out += fmt::format(
          "<rect class='f{}' x='{:.2f}' y='{:.1f}' width='{:.2f}' height='14'><title>{} {:.1f} %</title></rect>\n",
          index % static_cast<int>(kColours), kRight + before * width, top + 14, share * width, escaped(name),
          100 * share / total);
      before += share;
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double left = i % 2 == 0 ? kRight : kWidth / 2, top = legend_top + 14 * static_cast<double>(i / 2);
    out += fmt::format("<rect class='f{}' x='{:.1f}' y='{:.1f}' width='9' height='9'/>\n",
                       i % static_cast<std::size_t>(kColours), left, top - 8);
    out += text_at(left + 13, top, "start", names[i]);
  }
  return out + "</svg>\n";
}

}  // namespace roap::bench
