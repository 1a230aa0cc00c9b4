#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace roap::bin {

/// Progress on stderr: a bar with throughput and time left on a terminal, a line now and then elsewhere.
class Progress {
 public:
  Progress(std::uint64_t first_step, std::uint64_t steps, std::int64_t pairs_per_step);
  /// Called after every step, `annealing` being what the schedule says about it; prints at most a few times a second
  /// (terminal) or once every few seconds.
  void update(std::uint64_t step, double loss, const std::string& annealing);
  /// Prints a line above the bar.
  void note(const std::string& line);
  void finish();

 private:
  void draw(std::uint64_t step, double loss, const std::string& annealing);
  bool terminal_;
  std::uint64_t first_step_, steps_;
  std::int64_t pairs_per_step_;
  double started_, last_ = 0;
  std::optional<double> smooth_loss_;
  bool drawn_ = false;
};

/// "90 s", "12 min 05 s", "3 h 20 min"
std::string duration_text(double seconds);

/// Seconds of a clock that never goes back.
double monotonic_seconds();

}  // namespace roap::bin
