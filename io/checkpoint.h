#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"

namespace roap::io {

/// What a checkpoint's manifest.json says besides the sizes and hashes of its files.
struct CheckpointInfo {
  std::int64_t step = 0;
  std::string config_sha256;                        ///< hash of the run's resolved config
  nlohmann::json extra = nlohmann::json::object();  ///< the caller's own values
};

/// A checkpoint whose files were all verified.
struct Checkpoint {
  CheckpointInfo info;
  std::filesystem::path folder;
  SafetensorsFile model;
  SafetensorsFile state;
};

using WarnCallback = std::function<void(const std::string& message)>;

/// Publishes RUN/checkpoints/step-N whole: a reader sees all of it or nothing, also after a crash. Then removes what a
/// crash left, checkpoints of later steps (they were passed over when the run went back) and all but the newest `keep`
/// (0 keeps all). Returns the folder. DeviceError when the disk refuses.
std::filesystem::path write_checkpoint(const std::filesystem::path& run_folder, const CheckpointInfo& info,
                                       const SafetensorsWriter& model, const SafetensorsWriter& state, int keep);

/// Steps of the published checkpoints, rising; they are not verified.
std::vector<std::int64_t> list_checkpoints(const std::filesystem::path& run_folder);

/// Folder of one step's checkpoint.
std::filesystem::path checkpoint_folder(const std::filesystem::path& run_folder, std::int64_t step);

/// Reads one checkpoint and verifies manifest, sizes, hashes and tensors. CheckpointError names file, field, expected
/// and found. `config_sha256`, unless empty, must be the manifest's.
Checkpoint load_checkpoint(const std::filesystem::path& run_folder, std::int64_t step,
                           std::string_view config_sha256 = "");

/// The newest checkpoint that is intact. Each damaged one on the way is told to `warn`; CheckpointError with every
/// reason when none is left.
Checkpoint load_newest_intact(const std::filesystem::path& run_folder, const WarnCallback& warn,
                              std::string_view config_sha256 = "");

}  // namespace roap::io
