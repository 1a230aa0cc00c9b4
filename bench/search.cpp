#include "bench/search.h"

#include <fmt/format.h>

#include <random>

#include "bench/statistics.h"
#include "engine/device.h"
#include "models/search/formula_pool.h"
#include "models/search/formula_search.h"

namespace roap::bench {

namespace {

constexpr std::size_t kRows = 20;

/// Rows of s1 s2 s3 - s2 s2 + s1, symbols k / 10, with noise so that no search ends early.
search::TaskRows rows_of(int symbols) {
  search::TaskRows task;
  task.rows = kRows;
  std::mt19937 random(0);  // not for its distribution, which the standard leaves open: for its words
  for (std::size_t i = 0; i < static_cast<std::size_t>(symbols) * kRows; ++i) {
    task.symbols.push_back(static_cast<double>(1 + random() % search::kLevels) / search::kLevels);
  }
  for (std::size_t i = 0; i < kRows; ++i) {
    const double s1 = task.symbols[i], s2 = task.symbols[kRows + i], s3 = task.symbols[2 * kRows + i];
    task.y.push_back(s1 * s2 * s3 - s2 * s2 + s1 + 1e-3 * (static_cast<double>(random() % 100) / 100 - 0.5));
  }
  return task;
}

/// Times `run`, which gives how many formulas it met.
void time_search(Session& session, const std::string& name, const std::function<double()>& run, int symbols,
                 int operators) {
  double formulas = 0;
  Effort effort = session.options().effort;
  effort.cold = false;
  Measurement m;
  m.name = name;
  Session::say(name);
  m.seconds = time_in_turns({{name, [&] { return seconds_of([&] { formulas = run(); }); }}}, effort)[0];
  m.bytes = static_cast<double>(peak_resident_bytes());
  m.sizes = {{"symbols", symbols},
             {"operators", operators},
             {"formulas", formulas},
             {"formulas_per_second", formulas / median(m.seconds)}};
  session.add(std::move(m), DeviceKind::cpu);
}

}  // namespace

void run_search(Session& session, const SearchBenchOptions& options) {
  for (const int symbols : {3, 5}) {
    double last = 0;
    for (int operators = 1; operators <= options.max_operators; ++operators) {
      const std::string name = fmt::format("search, {} symbols, up to {} operators", symbols, operators);
      constexpr double kGrowth = 20;  // of the candidates with each operator more
      if (kGrowth * last * 3 > session.seconds_left()) {
        session.leave_out(name, "would take longer than what is left (--max-seconds)");
        break;
      }
      search::SearchOptions search_options;
      search_options.variables = symbols;
      search_options.max_operators = operators;
      const std::vector<search::TaskRows> tasks{rows_of(symbols)};
      time_search(
          session, name, [&] { return search::search_formulas(tasks, search_options).candidates; }, symbols, operators);
      last = median(session.report().measurements.back().seconds);
    }
  }
  constexpr int kSymbols = 3;
  for (int operators = 2; operators <= std::min(4, options.max_operators); ++operators) {
    const std::string name = fmt::format("pool, {} symbols, up to {} operators", kSymbols, operators);
    const auto count = [&] { return static_cast<double>(search::FormulaPool::enumerate(kSymbols, operators).size()); };
    time_search(session, name, count, kSymbols, operators);
  }
}

}  // namespace roap::bench
