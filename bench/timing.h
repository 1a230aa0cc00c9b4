#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/op.h"

namespace roap::bench {

/// How long and how often to measure.
struct Effort {
  int repetitions = 15;
  double seconds = 0.02;    ///< that one repetition should take at least; it is the mean of as many runs
  double most_seconds = 5;  ///< of all repetitions of one thing; fewer are made where they would take longer
  bool cold = true;         ///< empty the CPU's private caches before every run
};

/// Something to be measured: runs once and returns the seconds that it took.
struct Timed {
  std::string name;
  std::function<double()> run;
};

/// Seconds of every repetition, for each of `things`. Google Benchmark runs their repetitions in random turns, so that
/// what else the machine does meets all alike. Each is run once before, without being counted.
std::vector<std::vector<double>> time_in_turns(const std::vector<Timed>& things, const Effort& effort);

/// Reads and writes more memory than the private caches of all threads hold.
void empty_private_caches();

/// Seconds of a call by the host's clock.
double seconds_of(const std::function<void()>& call);

}  // namespace roap::bench
