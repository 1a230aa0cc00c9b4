#pragma once

#include <string>
#include <vector>

#include "bench/session.h"
#include "io/config.h"

namespace roap::bench {

/// Times whole training steps of a config on one device, and every kind of operator in them; adds a measurement "NAME"
/// and one "NAME: OPERATOR" each. Gives false, with a note in the report, where memory or time is too little.
/// `expected_seconds`: of a step, as far as known; 0 is unknown.
bool time_steps(Session& session, const std::string& name, const io::Config& config, DeviceKind device,
                double expected_seconds);

struct StepOptions {
  std::vector<std::string> presets{"digits", "cifar-small", "paper"};
  std::vector<std::int64_t> pairs{64, 256, 1024, 4096};  ///< of the paper preset
  std::vector<std::string> settings;                     ///< "section.key=value" for all
};

/// Steps of each preset; of the paper preset with each number of pairs.
void run_steps(Session& session, const StepOptions& options);

}  // namespace roap::bench
