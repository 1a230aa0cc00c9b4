#include "models/config.h"

#include <algorithm>

#include "kernels/common/error.h"

namespace roap {

MethodParts method_parts(const Config& config) {
  if (config.train.method == "marginal") return {.posterior = true};
  if (config.train.method == "hybrid") return {.posterior = true, .programs = true};
  if (config.train.method == "mlp-disjoint" || config.train.method == "mlp-onehot") return {.head = true};
  return {.programs = true};
}

void check_method(const Config& config) {
  if (method_parts(config).head && config.train.regauge > 0) {
    throw UsageError("train.regauge fits symbols to formulas, and method " + config.train.method +
                     " is to do without any: set it to 0");
  }
}

std::int64_t total_steps(const Config& config) {
  const Config::Train& train = config.train;
  if ((train.steps > 0) == (train.epochs > 0)) {
    throw UsageError("exactly one of train.steps and train.epochs must be positive: set the other to 0");
  }
  if (train.steps > 0) return train.steps;
  return (train.epochs * train.pairs_per_epoch + train.pairs_per_step - 1) / train.pairs_per_step;
}

std::int64_t screening_steps(const Config& config) {
  if (config.train.runs == 1) return 0;
  const std::int64_t whole = total_steps(config);
  return config.train.screen_steps > 0 ? std::min(config.train.screen_steps, whole) : whole;
}

std::int64_t all_steps(const Config& config) {
  return total_steps(config) + (config.train.runs - 1) * screening_steps(config);
}

}  // namespace roap
