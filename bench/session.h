#pragma once

#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/timing.h"

namespace roap::bench {

/// What all subcommands share.
struct Options {
  std::string device = "all";  ///< cpu, cuda, cuda:N or all there are
  int threads = 0;             ///< of the CPU; 0: all
  Effort effort{};
  bool processor_time = false;  ///< measure the process's processor time; needs threads = 1 and the cpu alone
  double max_seconds = 600;     ///< of the whole call; what would exceed it is left out, with a note
};

/// One call of the program: its devices, its time, and what it found so far.
class Session {
 public:
  /// Sets up threads and devices and measures their ceilings. UsageError or DeviceError where the options ask for what
  /// is not there.
  Session(const std::string& benchmark, const Options& options);

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const std::vector<DeviceKind>& devices() const { return devices_; }
  [[nodiscard]] const Ceilings& ceilings(DeviceKind device) const;
  [[nodiscard]] Report& report() { return report_; }
  /// Seconds left of max_seconds.
  [[nodiscard]] double seconds_left() const;
  /// Adds a measurement to the report, with its benchmark and device filled in.
  void add(Measurement measurement, DeviceKind device);
  void leave_out(const std::string& what, const std::string& why);
  /// One line on stderr.
  static void say(const std::string& text);

 private:
  Options options_;
  std::vector<DeviceKind> devices_;
  Report report_;
  double started_ = 0;
};

}  // namespace roap::bench
