#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace roap::io {

/// Every setting of a run, with its default. What each does, its limits and its text form stand in config_schema.cpp: a
/// new key is one line here and one there.
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
    double lambda = 2e-4;
    double lambda_from = 0.5;
    double sharpness = 1;
    double sharpness_late = 3;
    double sharpness_from = 0.75;
    std::string sharpness_schedule = "step";
    bool straight_through = false;
    double clip = 0;
    std::string on_nan = "skip";
    std::int64_t max_skips = 20;
    std::int64_t runs = 1;
    bool operator==(const Train&) const = default;
  };
  struct Device {
    std::string name = "auto";
    std::string precision = "f32";
    std::int64_t threads = 0;
    std::string conv = "own";
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
  Device device;
  Checkpoint checkpoint;
  Log log;
  bool operator==(const Config&) const = default;
};

/// Reads a preset's name or a FILE.toml over the defaults, then applies `settings` ("section.key=value") in order.
/// UsageError with file:line or the setting, the reason and, for a likely typing error, the key that was meant.
Config load_config(const std::string& preset_or_file, std::span<const std::string> settings = {});

/// Reads TOML text over the defaults; `label` names it in messages.
Config parse_config(std::string_view toml, const std::string& label);

/// Applies one "section.key=value"; text needs no quotes.
void apply_setting(Config& config, std::string_view setting);

/// Number of training steps: train.steps, or train.epochs turned into steps (rounded up). UsageError unless exactly one
/// of the two is set.
std::int64_t total_steps(const Config& config);

enum class TomlComments { none, effects };

/// All keys in a fixed order; numbers are printed so that reading them back gives the same bits. With
/// TomlComments::effects each key is preceded by what it does.
std::string to_toml(const Config& config, TomlComments comments = TomlComments::none);
nlohmann::ordered_json to_json(const Config& config);

/// SHA-256 of to_toml(config): identifies a config in checkpoints.
std::string config_sha256(const Config& config);

/// All keys as "section.key", in the order of the schema.
std::vector<std::string> config_keys();

/// Type, default, limits and effect of a key, in a few lines. UsageError with a suggestion when there is no such key.
std::string explain(std::string_view key);

/// Names of the presets built into the program.
std::vector<std::string> preset_names();

}  // namespace roap::io
