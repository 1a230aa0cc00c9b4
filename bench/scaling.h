#pragma once

#include <string>
#include <vector>

#include "bench/session.h"

namespace roap::bench {

struct ScalingOptions {
  std::vector<std::string> axes{"tasks", "pairs", "lines", "threads"};
  std::string preset = "digits";      ///< of the base point: its small grounder leaves the rest to be seen
  std::vector<std::string> settings;  ///< "section.key=value", over the base point
};

/// Whole steps along each axis, the others at the base point, and the exponents that fit the fastest runs: of the step
/// and of its parts, beside those of the counted work at the same points.
void run_scaling(Session& session, const ScalingOptions& options);

}  // namespace roap::bench
