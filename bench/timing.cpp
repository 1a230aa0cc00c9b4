#include "bench/timing.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>

#include "engine/host_clock.h"
#include "kernels/common/parallel.h"

namespace roap::bench {

namespace {

/// Collects what Google Benchmark measures instead of printing it.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(std::vector<std::vector<double>>& seconds) : seconds_(seconds) {}
  bool ReportContext(const Context& /*context*/) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      const auto index = static_cast<std::size_t>(std::stoi(run.run_name.function_name));
      seconds_[index].push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
    }
  }

 private:
  std::vector<std::vector<double>>& seconds_;
};

void set_up_google_benchmark() {
  static const bool done = [] {
    std::string program = "roap-bench", turns = "--benchmark_enable_random_interleaving=true";
    char* arguments[] = {program.data(), turns.data(), nullptr};
    int count = 2;
    benchmark::Initialize(&count, arguments);
    return true;
  }();
  (void)done;
}

}  // namespace

double seconds_of(const std::function<void()>& call) {
  const double start = host_seconds();
  call();
  return host_seconds() - start;
}

void empty_private_caches() {
  constexpr std::int64_t kBytes = std::int64_t{32} << 20;
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  static std::vector<char> memory(kBytes);
  parallel_ranges(kBytes, kPiece, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++memory[static_cast<std::size_t>(i)];
  });
}

std::vector<std::vector<double>> time_in_turns(const std::vector<Timed>& things, const Effort& effort) {
  set_up_google_benchmark();
  benchmark::ClearRegisteredBenchmarks();
  const double cooling = effort.cold ? seconds_of(empty_private_caches) : 0;
  for (std::size_t i = 0; i < things.size(); ++i) {
    const auto run = [&thing = things[i], cold = effort.cold] {
      if (cold) empty_private_caches();
      return thing.run();
    };
    run();
    const double seconds = std::max(run(), 1e-9);
    const double runs = std::clamp(std::ceil(effort.seconds / (seconds + cooling)), 1.0, 1e6);
    const double most = effort.most_seconds / static_cast<double>(things.size()) / (runs * (seconds + cooling));
    benchmark::RegisterBenchmark(std::to_string(i).c_str(),
                                 [run](benchmark::State& state) {
                                   for (auto _ : state) state.SetIterationTime(run());
                                 })
        ->UseManualTime()
        ->Iterations(static_cast<benchmark::IterationCount>(runs))
        ->Repetitions(static_cast<int>(std::clamp(most, 1.0, static_cast<double>(effort.repetitions))));
  }
  std::vector<std::vector<double>> seconds(things.size());
  Collector collector(seconds);
  benchmark::RunSpecifiedBenchmarks(&collector, ".");
  benchmark::ClearRegisteredBenchmarks();
  return seconds;
}

}  // namespace roap::bench
