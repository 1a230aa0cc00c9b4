#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "io/checkpoint.h"
#include "models/model.h"
#include "models/trainer.h"

namespace roap::io {

/// The shape as safetensors files have it.
std::vector<std::int64_t> extents(const Shape& shape);

/// Seconds of training, all sessions of a run together.
struct TrainingTime {
  double wall = 0;
  double processor = 0;  ///< of all threads; what else runs on the machine hardly changes it
};

/// Publishes RUN/checkpoints/step-N: model.safetensors has weights and BatchNorm statistics under the ecosystem's
/// names, state.safetensors the Adam moments ("adam.m.NAME", "adam.v.NAME"), manifest.json the trainer's counters and
/// the time trained so far.
std::filesystem::path save_checkpoint(const std::filesystem::path& run, Model& model, const TrainerState& state,
                                      int keep, const TrainingTime& time);

/// Puts a checkpoint's weights and statistics (and, with `moments`, the optimizer's state) into the model.
/// CheckpointError lists every tensor that is missing, unknown or of another shape.
void restore_model(const Checkpoint& checkpoint, Model& model, bool moments);

/// The trainer's counters in a checkpoint.
TrainerState restore_state(const Checkpoint& checkpoint);
/// The time trained until a checkpoint.
TrainingTime trained_time(const Checkpoint& checkpoint);

}  // namespace roap::io
