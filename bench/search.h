#pragma once

#include "bench/session.h"

namespace roap::bench {

struct SearchBenchOptions {
  int max_operators = 5;
};

/// Formula search from 20 rows of numbers with 3 and 5 symbols, by the number of operators, on the CPU; and the pool of
/// all formulas that tasks are drawn from.
void run_search(Session& session, const SearchBenchOptions& options);

}  // namespace roap::bench
