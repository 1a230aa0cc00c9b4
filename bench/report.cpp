#include "bench/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>

#include "bench/statistics.h"
#include "io/file_util.h"

namespace roap::bench {

namespace {

using Json = nlohmann::ordered_json;

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

Json to_json(const Measurement& m) {
  Json json{{"name", m.name},
            {"implementation", m.implementation},
            {"device", m.device},
            {"seconds", m.seconds},
            {"flop", m.work.flop},
            {"dense_flop", m.work.dense()},
            {"bytes", m.work.bytes},
            {"floor_seconds", m.floor},
            {"peak_memory_bytes", m.bytes},
            {"launches", m.launches},
            {"error", m.error},
            {"sizes", m.sizes}};
  if (m.seconds.empty()) return json;
  json["median"] = median(m.seconds);
  json["fastest"] = m.fastest();
  json["p10"] = quantile(m.seconds, 0.1);
  json["p90"] = quantile(m.seconds, 0.9);
  return json;
}

Measurement measurement_from(const Json& json, const std::string& benchmark) {
  Measurement m;
  m.benchmark = benchmark;
  m.name = json.at("name");
  m.implementation = json.at("implementation");
  m.device = json.at("device");
  m.seconds = json.at("seconds").get<std::vector<double>>();
  m.work = {json.at("flop"), json.at("bytes"), json.at("dense_flop")};
  m.floor = json.at("floor_seconds");
  m.bytes = json.at("peak_memory_bytes");
  m.launches = json.at("launches");
  m.error = json.at("error");
  m.sizes = json.at("sizes").get<std::map<std::string, double>>();
  return m;
}

/// "-" where there is nothing to say.
std::string number(double value, const char* format) {
  return value > 0 ? fmt::format(fmt::runtime(format), value) : "-";
}

std::string row_of(const Measurement& m) {
  const double middle = median(m.seconds);
  const double roof = m.implementation == "roap" ? m.floor : 0;
  return fmt::format(
      "{:<66} {:<13} {:<5} {:>10.1f} {:>10.1f} {:>10.1f} {:>8} {:>8} {:>7} {:>10} {:>7} {:>8} {:>5} {:>8}\n", m.name,
      m.implementation, m.device, 1e6 * middle, 1e6 * quantile(m.seconds, 0.1), 1e6 * quantile(m.seconds, 0.9),
      number(1e-9 * m.work.flop / middle, "{:.1f}"), number(1e-9 * m.work.dense() / middle, "{:.1f}"),
      number(1e-9 * m.work.bytes / middle, "{:.1f}"), number(1e6 * m.floor, "{:.1f}"),
      number(100 * roof / middle, "{:.0f} %"), number(m.bytes / (1 << 20), "{:.1f}"), number(m.launches, "{:.0f}"),
      m.error < 0 ? "-" : fmt::format("{:.0e}", m.error));
}

}  // namespace

Report start_report(const std::string& benchmark, int threads) {
  Report report;
  report.benchmark = benchmark;
  report.date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)));
  report.processor = processor_name();
  report.threads = threads;
  std::ifstream("/proc/loadavg") >> report.load;
  return report;
}

Json to_json(const Report& report) {
  Json json{{"roap_bench", kReportVersion},
            {"benchmark", report.benchmark},
            {"date", report.date},
            {"processor", report.processor},
            {"threads", report.threads},
            {"load", report.load},
            {"clock", report.processor_time ? "processor" : "wall"},
            {"peak_resident_bytes", report.peak_resident_bytes}};
  for (const auto& [device, c] : report.ceilings) {
    json["ceilings"][device] = {
        {"bytes_per_second", c.bytes}, {"f32_flop_per_second", c.f32_flop}, {"bf16_flop_per_second", c.bf16_flop}};
  }
  json["measurements"] = Json::array();
  for (const Measurement& m : report.measurements) json["measurements"].push_back(to_json(m));
  json["fits"] = Json::array();
  for (const ScalingFit& fit : report.fits) {
    json["fits"].push_back({{"axis", fit.axis},
                            {"part", fit.part},
                            {"exponent", fit.exponent},
                            {"exponent_error", fit.exponent_error},
                            {"expected", fit.expected}});
  }
  json["left_out"] = report.left_out;
  json["wrong"] = report.wrong;
  return json;
}

Report read_report(const std::string& file) {
  try {
    const Json json = Json::parse(io::read_file(file));
    if (json.at("roap_bench") != kReportVersion) throw DataError(fmt::format("{}: a report of another version", file));
    Report report;
    report.benchmark = json.at("benchmark");
    report.date = json.at("date");
    report.processor = json.at("processor");
    report.threads = json.at("threads");
    report.load = json.at("load");
    report.processor_time = json.at("clock") == "processor";
    for (const Json& m : json.at("measurements")) report.measurements.push_back(measurement_from(m, report.benchmark));
    return report;
  } catch (const Json::exception& error) {
    throw DataError(fmt::format("{}: no report of roap-bench: {}", file, error.what()));
  }
}

std::string text_of(const Report& report) {
  std::string text = fmt::format("roap-bench {} of {}, {}, {} threads, load {:.1f}\n", report.benchmark, report.date,
                                 report.processor, report.threads, report.load);
  constexpr double kQuiet = 0.5;
  if (report.processor_time) text += "seconds are processor time of the one thread\n";
  if (report.load > kQuiet && !report.processor_time)
    text += "other programs are running: compare within this call, and fastest runs, only\n";
  for (const auto& [device, c] : report.ceilings) {
    text +=
        fmt::format("{}: measured here {:.1f} GB/s copied, {:.1f} GFLOP/s f32{}\n", device, 1e-9 * c.bytes,
                    1e-9 * c.f32_flop, c.bf16_flop > 0 ? fmt::format(", {:.0f} GFLOP/s bf16", 1e-9 * c.bf16_flop) : "");
  }
  text += fmt::format("{:<66} {:<13} {:<5} {:>10} {:>10} {:>10} {:>8} {:>8} {:>7} {:>10} {:>7} {:>8} {:>5} {:>8}\n", "",
                      "", "", "median us", "p10", "p90", "GFLOP/s", "dense", "GB/s", "floor us", "roof", "MiB", "runs",
                      "error");
  for (const Measurement& m : report.measurements) {
    if (!m.seconds.empty()) text += row_of(m);
  }
  if (!report.fits.empty()) {
    text += fmt::format("\n{:<10} {:<14} {:>20} {:>10}\n", "axis", "part", "exponent", "expected");
  }
  for (const ScalingFit& fit : report.fits) {
    text += fmt::format("{:<10} {:<14} {:>12.2f} +- {:<4.2f} {:>10.2f}\n", fit.axis, fit.part, fit.exponent,
                        fit.exponent_error, fit.expected);
  }
  text += fmt::format("whole process at most {:.0f} MiB\n", report.peak_resident_bytes / (1 << 20));
  for (const std::string& reason : report.left_out) text += fmt::format("left out: {}\n", reason);
  for (const std::string& reason : report.wrong) text += fmt::format("WRONG, not timed: {}\n", reason);
  return text;
}

}  // namespace roap::bench
