#pragma once

#include <cstdint>
#include <string>

namespace roap {

/// Every setting of a run, with its default. What each does, its limits and its text form stand in
/// io/config_schema.cpp: a new key is one line here and one there.
struct Config {
  struct Data {
    std::string source = "digits";
    bool augment = false;
    bool operator==(const Data&) const = default;
  };
  struct Tasks {
    std::int64_t count = 100;
    std::int64_t symbols = 3;
    std::int64_t max_operators = 2;
    std::int64_t seed = 0;
    bool operator==(const Tasks&) const = default;
  };
  struct Model {
    std::string grounder = "resnet-small";
    std::string stem = "cifar";
    std::int64_t grounder_width = 16;
    std::int64_t width = 64;
    double input_gain = 1;
    double logit_spread = 0;
    std::int64_t lines = 12;
    std::string sketch = "straight-line";
    std::int64_t depth = 3;
    bool operator==(const Model&) const = default;
  };
  struct Train {
    std::string method = "roap";
    std::int64_t seed = 0;
    std::int64_t steps = 0;
    std::int64_t epochs = 0;
    std::int64_t pairs_per_epoch = 1'000'000;
    std::int64_t pairs_per_step = 64;
    double lr = 1e-3;
    double grounder_lr = 0;
    std::string lr_schedule = "constant";
    std::int64_t warmup_steps = 0;
    double eps = 1e-5;
    std::string loss = "gaussian";
    double loss_floor = 1;
    double loss_floor_late = 0;
    std::int64_t samples = 1;
    double lambda = 2e-4;
    double lambda_from = 0.5;
    double sharpness = 1;
    double sharpness_late = 3;
    double sharpness_from = 0.75;
    std::string sharpness_schedule = "step";
    bool straight_through = false;
    double clip = 0;
    std::int64_t regauge = 0;
    double regauge_until = 0.8;
    std::string on_nan = "skip";
    std::int64_t max_skips = 20;
    std::int64_t runs = 1;
    std::int64_t screen_steps = 0;
    bool operator==(const Train&) const = default;
  };
  struct Search {
    std::int64_t max_operators = 3;
    double penalty = 0.05;
    double floor = 1e-3;
    double temperature = 0.1;
    double temperature_late = 0.02;
    double temperature_until = 0.6;
    bool operator==(const Search&) const = default;
  };
  struct Device {
    std::string name = "auto";
    std::string precision = "f32";
    std::int64_t threads = 0;
    std::string conv = "own";
    std::string linear = "own";
    std::int64_t ranks = 1;
    bool operator==(const Device&) const = default;
  };
  struct Checkpoint {
    std::int64_t every_steps = 500;
    std::int64_t keep = 2;
    bool operator==(const Checkpoint&) const = default;
  };
  struct Log {
    std::int64_t every_steps = 20;
    std::int64_t eval_every_steps = 500;
    bool operator==(const Log&) const = default;
  };

  Data data;
  Tasks tasks;
  Model model;
  Train train;
  Search search;
  Device device;
  Checkpoint checkpoint;
  Log log;
  bool operator==(const Config&) const = default;
};

/// What a method trains on.
struct MethodParts {
  bool posterior = false;  ///< the exact posterior over the formulas of [search]
  bool programs = false;   ///< relaxed programs of the sketch, from a synthesizer or free logits
  bool head = false;       ///< an MLP over the symbols, no programs
};
MethodParts method_parts(const Config& config);
/// UsageError for settings that the method has no use for and that would change what it is.
void check_method(const Config& config);

/// Number of training steps: train.steps, or train.epochs turned into steps (rounded up). UsageError unless exactly one
/// of the two is set.
std::int64_t total_steps(const Config& config);

/// Steps of each run before the best one is chosen, at most a whole run; 0 where there is one run only.
std::int64_t screening_steps(const Config& config);

/// Steps of all runs together: total_steps() of the chosen one and the screening of the others.
std::int64_t all_steps(const Config& config);

}  // namespace roap
