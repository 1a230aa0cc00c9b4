#include "bin/roap_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

namespace roap::bin {

namespace {

constexpr double kTerminalInterval = 0.2;  // seconds between two drawings
constexpr double kLogInterval = 10;

}  // namespace

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds + 0.5);
  if (s < 100) return fmt::format("{} s", s);
  if (s < 6000) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
}

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(std::uint64_t first_step, std::uint64_t steps, std::int64_t pairs_per_step)
    : terminal_(isatty(STDERR_FILENO) != 0),
      first_step_(first_step),
      steps_(steps),
      pairs_per_step_(pairs_per_step),
      started_(monotonic_seconds()) {
  last_ = started_;
}

void Progress::update(std::uint64_t step, double loss, const std::string& annealing) {
  constexpr double kShare = 0.05;  // of a step in the smoothed loss; one that was skipped has none
  if (std::isfinite(loss)) smooth_loss_ = smooth_loss_ ? *smooth_loss_ + kShare * (loss - *smooth_loss_) : loss;
  const double now = monotonic_seconds();
  if (now - last_ < (terminal_ ? kTerminalInterval : kLogInterval) && step != steps_) return;
  last_ = now;
  draw(step, smooth_loss_.value_or(std::nan("")), annealing);
}

void Progress::draw(std::uint64_t step, double loss, const std::string& annealing) {
  const double elapsed = monotonic_seconds() - started_;
  const double rate = static_cast<double>(step - first_step_) / std::max(elapsed, 1e-9);
  const double left = static_cast<double>(steps_ - step) / std::max(rate, 1e-9);
  const std::string text =
      fmt::format("step {}/{}  loss {:.4f}  {}  {:.1f} steps/s ({:.0f} pairs/s)  {} left", step, steps_, loss,
                  annealing, rate, rate * static_cast<double>(pairs_per_step_), duration_text(left));
  if (!terminal_) {
    fmt::print(stderr, "{}\n", text);
    return;
  }
  constexpr std::uint64_t kWidth = 24;
  const std::uint64_t filled = kWidth * step / std::max<std::uint64_t>(steps_, 1);
  fmt::print(stderr, "\r\033[K[{:#<{}}{:.<{}}] {}", "", filled, "", kWidth - filled, text);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::note(const std::string& line) {
  if (terminal_ && drawn_) fmt::print(stderr, "\r\033[K");
  fmt::print(stderr, "{}\n", line);
}

void Progress::finish() {
  if (terminal_ && drawn_) fmt::print(stderr, "\n");
}

}  // namespace roap::bin
