#include "bench/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/statistics.h"
#include "io/report/chart.h"
#include "io/report/run_report.h"

namespace roap::bench {

namespace {

using io::element, io::Html, io::Marks, io::paragraph, io::Series;

constexpr int kGrey = 6, kDashedGrey = kGrey + io::kChartColours;

/// Arithmetic intensity against rate, under the ceilings of the device.
Html roofline(const Report& report, const std::string& device, const Ceilings& ceilings) {
  std::map<std::string, Series> by_operator;
  double least = 0.1, most = 100;
  for (const Measurement& m : report.measurements) {
    if (m.device != device || m.implementation != "roap" || !(m.work.flop > 0 && m.work.bytes > 0)) continue;
    const std::string op = report.benchmark == "ops" ? m.name.substr(0, m.name.find('/')) : m.name;
    if (report.benchmark != "ops" && m.name.find(": ") != std::string::npos) continue;
    const double intensity = m.work.flop / m.work.bytes, rate = 1e-9 * m.work.flop / median(m.seconds);
    by_operator[op].points.push_back(
        {intensity, rate,
         fmt::format("{}: {:.1f} GFLOP/s, {:.0f} % of the roof", m.name, rate, 100 * m.floor / median(m.seconds))});
    least = std::min(least, intensity);
    most = std::max(most, intensity);
  }
  if (by_operator.empty()) return {};
  Series roof{"ceilings measured here", {}, kDashedGrey};
  const double ridge = ceilings.f32_flop / ceilings.bytes;
  for (const double x : {least, ridge, std::max(most, 2 * ridge)}) {
    roof.points.push_back({x, 1e-9 * std::min(ceilings.f32_flop, x * ceilings.bytes)});
  }
  std::vector<Series> all{std::move(roof)};
  for (auto& [name, series] : by_operator) {
    series.label = name;
    series.marks = Marks::dots;
    series.style = static_cast<int>(all.size()) - 1;
    all.push_back(std::move(series));
  }
  return io::line_chart({.title = fmt::format("Roofline, {}", device),
                         .x = "counted FLOP per byte",
                         .y = "GFLOP/s",
                         .log_y = true,
                         .log_x = true},
                        all);
}

/// Seconds along an axis: measured, the law that fits, and the floor of the counted work.
Html scaling(const Report& report, const std::string& axis) {
  Series measured{"measured", {}, 0, Marks::both}, floor{"floor of counted work", {}, kDashedGrey};
  std::map<std::string, Series> parts;
  const std::string prefix = axis + " = ";
  for (const Measurement& m : report.measurements) {
    if (!m.name.starts_with(prefix)) continue;
    const double x = std::stod(m.name.substr(prefix.size()));
    const std::size_t colon = m.name.find(": ");
    if (colon == std::string::npos) {
      measured.points.push_back({x, m.fastest()});
      floor.points.push_back({x, m.floor});
      continue;
    }
    const std::string op = m.name.substr(colon + 2);
    for (const char* shown : {"point_mlp", "soft_exec", "conv2d"}) {
      if (!op.starts_with(shown)) continue;
      auto& points = parts[shown].points;
      if (points.empty() || points.back().x != x) points.push_back({x, 0});
      points.back().y += m.fastest();
    }
  }
  if (measured.points.size() < 2) return {};
  for (const ScalingFit& fit : report.fits) {
    if (fit.axis != axis || fit.part != "step") continue;
    measured.label = fmt::format("step, exponent {:.2f}", fit.exponent);
    floor.label = fmt::format("its floor, exponent {:.2f}", fit.expected);
  }
  std::vector<Series> all{std::move(measured), std::move(floor)};
  for (auto& [name, series] : parts) {
    series.label = name;
    series.marks = Marks::both;
    series.style = static_cast<int>(all.size()) - 1;
    all.push_back(std::move(series));
  }
  return io::line_chart(
      {.title = fmt::format("A step by {}", axis), .x = axis, .y = "seconds", .log_y = true, .log_x = true}, all);
}

Html breakdown(const Report& report) {
  std::vector<io::StackedBar> bars;
  for (const Measurement& whole : report.measurements) {
    if (whole.name.find(": ") != std::string::npos || report.benchmark != "step") continue;
    io::StackedBar bar{fmt::format("{} on {}: {:.3g} ms", whole.name, whole.device, 1e3 * median(whole.seconds)), {}};
    const std::string prefix = whole.name + ": ";
    std::map<std::string, double> sums;  // a backward pass with its forward pass
    for (const Measurement& m : report.measurements) {
      if (m.device != whole.device || !m.name.starts_with(prefix)) continue;
      const std::string op = m.name.substr(prefix.size());
      sums[op.substr(0, op.find("_backward"))] += median(m.seconds);
    }
    bar.parts.assign(sums.begin(), sums.end());
    std::stable_sort(bar.parts.begin(), bar.parts.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    constexpr std::size_t kShown = 7;
    double others = 0;
    while (bar.parts.size() > kShown) {
      others += bar.parts.back().second;
      bar.parts.pop_back();
    }
    if (others > 0) bar.parts.emplace_back("others", others);
    if (!bar.parts.empty()) bars.push_back(std::move(bar));
  }
  return bars.empty() ? Html() : io::stacked_bars("What a step's time goes into", bars);
}

Html row(const char* tag, const std::vector<std::string>& cells) {
  Html row;
  for (const std::string& cell : cells) row += element(tag, cell);
  return element("tr", row);
}

Html table(const Report& report) {
  Html rows = row("th", {"", "by", "device", "median us", "p10", "p90", "useful GFLOP/s", "dense GFLOP/s", "GB/s",
                         "floor us", "of roof"});
  const auto number = [](double value, const char* format) {
    return value > 0 && std::isfinite(value) ? fmt::format(fmt::runtime(format), value) : "";
  };
  for (const Measurement& m : report.measurements) {
    if (m.seconds.empty()) continue;
    const double middle = median(m.seconds);
    rows +=
        row("td", {m.name, m.implementation, m.device, number(1e6 * middle, "{:.1f}"),
                   number(1e6 * quantile(m.seconds, 0.1), "{:.1f}"), number(1e6 * quantile(m.seconds, 0.9), "{:.1f}"),
                   number(1e-9 * m.work.flop / middle, "{:.1f}"), number(1e-9 * m.work.dense() / middle, "{:.1f}"),
                   number(1e-9 * m.work.bytes / middle, "{:.1f}"), number(1e6 * m.floor, "{:.1f}"),
                   number(m.implementation == "roap" ? 100 * m.floor / middle : 0, "{:.0f} %")});
  }
  return element("div", {{"class", "scroll"}}, element("table", {{"class", "facts"}}, rows));
}

}  // namespace

std::string page_of(const Report& report) {
  Html body = paragraph(fmt::format("{}, {}, {} threads{}", report.date, report.processor, report.threads,
                                    report.processor_time ? ", processor time" : ""));
  Html charts;
  for (const auto& [device, c] : report.ceilings) {
    body += paragraph(fmt::format("{}: {:.1f} GB/s copied, {:.1f} GFLOP/s f32, measured by the same process.", device,
                                  1e-9 * c.bytes, 1e-9 * c.f32_flop));
    if (report.benchmark != "scaling") charts += roofline(report, device, c);
  }
  for (const char* axis : {"tasks", "pairs", "lines", "threads"}) charts += scaling(report, axis);
  charts += breakdown(report);
  Html left_out;
  for (const std::string& reason : report.left_out) left_out += paragraph(reason);
  if (!charts.empty()) body += io::section("charts", "Charts", element("div", {{"class", "charts"}}, charts));
  body += io::section("figures", "All figures", table(report));
  if (!left_out.empty()) body += io::section("left-out", "Left out", left_out);
  return io::html_page("roap-bench " + report.benchmark, body);
}

}  // namespace roap::bench
