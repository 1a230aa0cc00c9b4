#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/backend.h"

namespace roap::bench {

/// One thing that was measured on one device by one implementation.
struct Measurement {
  std::string benchmark;  ///< "ops", "step", "search" or "scaling"
  std::string name;       ///< of the thing: the same for all implementations
  std::string implementation = "roap";
  std::string device = "cpu";
  std::vector<double> seconds{};  ///< of every repetition
  Work work{};                    ///< counted; nothing where nobody counts
  double floor = 0;               ///< seconds that the counted work takes at the ceilings; 0 where unknown
  double bytes = 0;               ///< of memory at the peak
  double launches = 0;            ///< operators run, on a GPU kernels
  double error = -1;              ///< largest difference from what it was checked against, relative; -1: unchecked
  std::map<std::string, double> sizes{};  ///< "pairs", "tasks", ...

  /// What other programs disturbed least.
  [[nodiscard]] double fastest() const { return *std::min_element(seconds.begin(), seconds.end()); }
  [[nodiscard]] std::string key() const { return name + " | " + implementation + " | " + device; }
};

/// How a cost grows along an axis.
struct ScalingFit {
  std::string axis, part;
  double exponent = 0, exponent_error = 0;
  double expected = 0;  ///< exponent of the counted work
};

/// Everything that one call of the program found.
struct Report {
  std::string benchmark, date, processor;
  int threads = 0;
  bool processor_time = false;     ///< seconds are the process's processor time, not the clock's
  double peak_resident_bytes = 0;  ///< of the whole process at the end
  double load = 0;  ///< other programs' share of the machine: load average of the last minute at the start
  std::map<std::string, Ceilings> ceilings{};  ///< by device
  std::vector<Measurement> measurements{};
  std::vector<ScalingFit> fits{};
  std::vector<std::string> left_out{};  ///< what was not measured, and why
  std::vector<std::string> wrong{};     ///< outputs that were wrong: refused, not timed
};

inline constexpr int kReportVersion = 1;

/// A report with date, processor and threads filled in.
Report start_report(const std::string& benchmark, int threads);
nlohmann::ordered_json to_json(const Report& report);
/// DataError where the file is missing or no report of this version.
Report read_report(const std::string& file);

/// Table for people: time, rates and share of roofline of each measurement, then fits and what was left out.
std::string text_of(const Report& report);

}  // namespace roap::bench
