#include "bench/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/statistics.h"
#include "bench/svg.h"

namespace roap::bench {

namespace {

constexpr const char* kHead = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>roap-bench</title>
<style>
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --grid: #ddd; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181c; --grid: #3a3d44; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; padding: 12px; max-width: 1240px; }
h1 { font-size: 1.4em; margin: 0.2em 0; } h2 { font-size: 1.15em; margin: 1.2em 0 0.3em; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); gap: 16px; align-items: start; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--ink); } svg text.title { font-weight: 600; font-size: 12px; }
svg .grid { stroke: var(--grid); stroke-width: 0.6; } svg polyline { fill: none; stroke-width: 1.8; } svg line { stroke-width: 1.8; } svg circle.hollow { fill: var(--paper) !important; stroke-width: 1.6; } svg .dashed { stroke-dasharray: 5 4; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 2px 9px; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
)";

constexpr const char* kColours[] = {"#2f6fd0", "#d1495b", "#2a9d5c", "#e08e1b", "#7b52c7",
                                    "#159a9c", "#a0522d", "#c2449a", "#6b7b1f", "#777777"};

std::string style() {
  std::string text = kHead;
  int index = 0;
  for (const char* colour : kColours) {
    text += fmt::format("svg .s{0} {{ stroke: {1}; }} svg circle.s{0} {{ fill: {1}; }} .f{0} {{ fill: {1}; }}\n",
                        index++, colour);
  }
  return text + "</style>\n";
}

/// Arithmetic intensity against rate, under the ceilings of the device.
std::string roofline(const Report& report, const std::string& device, const Ceilings& ceilings) {
  LogChart chart(fmt::format("Roofline, {}", device), "counted FLOP per byte", "GFLOP/s");
  std::map<std::string, LogChart::Series> by_operator;
  double least = 0.1, most = 100;
  for (const Measurement& m : report.measurements) {
    if (m.device != device || m.implementation != "roap" || !(m.work.flop > 0 && m.work.bytes > 0)) continue;
    const std::string op = report.benchmark == "ops" ? m.name.substr(0, m.name.find('/')) : m.name;
    if (report.benchmark != "ops" && m.name.find(": ") != std::string::npos) continue;
    LogChart::Series& series = by_operator[op];
    const double intensity = m.work.flop / m.work.bytes, rate = 1e-9 * m.work.flop / median(m.seconds);
    series.points.emplace_back(intensity, rate);
    series.titles.push_back(
        fmt::format("{}: {:.1f} GFLOP/s, {:.0f} % of the roof", m.name, rate, 100 * m.floor / median(m.seconds)));
    least = std::min(least, intensity);
    most = std::max(most, intensity);
  }
  if (by_operator.empty()) return "";
  LogChart::Series roof{"ceilings measured here", {}, true, true, false, 9, {}};
  const double ridge = ceilings.f32_flop / ceilings.bytes;
  for (const double x : {least, ridge, std::max(most, 2 * ridge)}) {
    roof.points.emplace_back(x, 1e-9 * std::min(ceilings.f32_flop, x * ceilings.bytes));
  }
  chart.add(std::move(roof));
  int colour = 0;
  for (auto& [name, series] : by_operator) {
    series.name = name;
    series.line = false;
    series.colour = colour % 9;
    series.hollow = colour++ >= 9;
    chart.add(std::move(series));
  }
  return chart.svg();
}

/// Seconds along an axis: measured, the law that fits, and the floor of the counted work.
std::string scaling(const Report& report, const std::string& axis) {
  LogChart chart(fmt::format("A step by {}", axis), axis, "seconds");
  LogChart::Series measured{"measured", {}, true, false, true, 0, {}},
      floor{"floor of counted work", {}, true, true, false, 9, {}};
  std::map<std::string, LogChart::Series> parts;
  const std::string prefix = axis + " = ";
  for (const Measurement& m : report.measurements) {
    if (!m.name.starts_with(prefix)) continue;
    const double x = std::stod(m.name.substr(prefix.size()));
    const std::size_t colon = m.name.find(": ");
    if (colon == std::string::npos) {
      measured.points.emplace_back(x, m.fastest());
      floor.points.emplace_back(x, m.floor);
    } else {
      const std::string op = m.name.substr(colon + 2);
      for (const char* shown : {"point_mlp", "soft_exec", "conv2d"}) {
        if (!op.starts_with(shown)) continue;
        auto& points = parts[shown].points;
        if (points.empty() || points.back().first != x) points.emplace_back(x, 0);
        points.back().second += m.fastest();
      }
    }
  }
  if (measured.points.size() < 2) return "";
  for (const ScalingFit& fit : report.fits) {
    if (fit.axis != axis || fit.part != "step") continue;
    measured.name = fmt::format("step, exponent {:.2f}", fit.exponent);
    floor.name = fmt::format("its floor, exponent {:.2f}", fit.expected);
  }
  chart.add(std::move(measured));
  chart.add(std::move(floor));
  int colour = 1;
  for (auto& [name, series] : parts) {
    series.name = name;
    series.colour = colour++;
    chart.add(std::move(series));
  }
  return chart.svg();
}

std::string breakdown(const Report& report) {
  std::vector<StackedBar> bars;
  for (const Measurement& whole : report.measurements) {
    if (whole.name.find(": ") != std::string::npos || report.benchmark != "step") continue;
    StackedBar bar{fmt::format("{} on {}: {:.3g} ms", whole.name, whole.device, 1e3 * median(whole.seconds)), {}};
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
  return bars.empty() ? "" : stacked_bars_svg("What a step's time goes into", bars);
}

std::string table(const Report& report) {
  std::string text =
      "<div class='table'><table><tr><th></th><th>by</th><th>device</th><th>median us</th><th>p10</th><th>p90</th>"
      "<th>useful GFLOP/s</th><th>dense GFLOP/s</th><th>GB/s</th><th>floor us</th><th>of roof</th></tr>\n";
  const auto cell = [](double value, const char* format) {
    return fmt::format("<td>{}</td>",
                       value > 0 && std::isfinite(value) ? fmt::format(fmt::runtime(format), value) : "");
  };
  for (const Measurement& m : report.measurements) {
    if (m.seconds.empty()) continue;
    const double middle = median(m.seconds);
    text += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td>", escaped(m.name), escaped(m.implementation), m.device) +
            cell(1e6 * middle, "{:.1f}") + cell(1e6 * quantile(m.seconds, 0.1), "{:.1f}") +
            cell(1e6 * quantile(m.seconds, 0.9), "{:.1f}") + cell(1e-9 * m.work.flop / middle, "{:.1f}") +
            cell(1e-9 * m.work.dense() / middle, "{:.1f}") + cell(1e-9 * m.work.bytes / middle, "{:.1f}") +
            cell(1e6 * m.floor, "{:.1f}") + cell(m.implementation == "roap" ? 100 * m.floor / middle : 0, "{:.0f} %") +
            "</tr>\n";
  }
  return text + "</table></div>\n";
}

}  // namespace

std::string page_of(const Report& report) {
  std::string charts;
  for (const auto& [device, ceilings] : report.ceilings)
    charts += report.benchmark == "scaling" ? "" : roofline(report, device, ceilings);
  for (const char* axis : {"tasks", "pairs", "lines", "threads"}) charts += scaling(report, axis);
  charts += breakdown(report);
  std::string page =
      style() + fmt::format("<h1>roap-bench {}</h1>\n<p>{}, {}, {} threads{}</p>\n", report.benchmark, report.date,
                            escaped(report.processor), report.threads, report.processor_time ? ", processor time" : "");
  for (const auto& [device, c] : report.ceilings) {
    page += fmt::format("<p>{}: {:.1f} GB/s copied, {:.1f} GFLOP/s f32, measured by the same process.</p>\n", device,
                        1e-9 * c.bytes, 1e-9 * c.f32_flop);
  }
  page += fmt::format("<div class='charts'>\n{}</div>\n<h2>All figures</h2>\n{}", charts, table(report));
  if (!report.left_out.empty()) page += "<h2>Left out</h2>\n";
  for (const std::string& reason : report.left_out) page += fmt::format("<p>{}</p>\n", escaped(reason));
  return page + "</html>\n";
}

}  // namespace roap::bench
