#include "io/model_files.h"

#include <fmt/format.h>

#include <array>
#include <deque>
#include <limits>
#include <utility>

#include "io/config.h"

namespace roap::io {

namespace {

constexpr const char* kTracked = ".num_batches_tracked";  // torchvision's state dict has one per BatchNorm

/// Copies tensors to the host and keeps them alive until the writer has written them.
class TensorCopies {
 public:
  void add(SafetensorsWriter& writer, const std::string& name, const ParameterStore& store, const Slot& slot) {
    floats_.push_back(store.read(slot));
    writer.add(name, extents(slot.shape), std::span<const float>(floats_.back()));
  }
  void add(SafetensorsWriter& writer, const std::string& name, std::int64_t value) {
    integers_.push_back(value);
    writer.add(name, {}, std::span<const std::int64_t>(&integers_.back(), 1));
  }

 private:
  std::deque<std::vector<float>> floats_;
  std::deque<std::int64_t> integers_;
};

/// Tensors of state.safetensors that hold the best of the runs screened so far, whole arenas each.
template <class Snapshot>
auto best_arenas(Snapshot& best) {
  return std::array{std::pair{"best.weights", &best.weights}, std::pair{"best.adam.m", &best.moment1},
                    std::pair{"best.adam.v", &best.moment2}, std::pair{"best.buffers", &best.buffers}};
}

bool is_optimizer_buffer(const std::string& name) { return name.starts_with("adam."); }

std::string batch_norm_of(const std::string& name) {
  constexpr std::string_view kMean = ".running_mean";
  return name.ends_with(kMean) ? name.substr(0, name.size() - kMean.size()) : "";
}

void restore_slot(const SafetensorsFile& file, const std::string& name, ParameterStore& store, const Slot& slot) {
  const std::vector<std::int64_t> shape = extents(slot.shape);
  store.write(slot, file.values<float>(name, shape));
}

}  // namespace

std::vector<std::int64_t> extents(const Shape& shape) {
  std::vector<std::int64_t> list;
  for (int axis = 0; axis < shape.rank(); ++axis) list.push_back(shape[axis]);
  return list;
}

std::filesystem::path save_checkpoint(const std::filesystem::path& run, Model& model, const TrainerState& state,
                                      int keep, const TrainingTime& time) {
  ParameterStore& store = model.store();
  SafetensorsWriter weights;
  SafetensorsWriter optimizer;
  TensorCopies copies;
  // Each applied update follows one batch that the statistics took in.
  const auto tracked = static_cast<std::int64_t>(store.read(store.slot(kAdamStep, Arena::buffers))[0]);
  for (const ParameterInfo& info : store.weights()) {
    copies.add(weights, info.name, store, info.slot);
    copies.add(optimizer, "adam.m." + info.name, store, store.slot(info.name, Arena::moment1));
    copies.add(optimizer, "adam.v." + info.name, store, store.slot(info.name, Arena::moment2));
  }
  for (const ParameterInfo& info : store.buffers()) {
    copies.add(is_optimizer_buffer(info.name) ? optimizer : weights, info.name, store, info.slot);
    if (const std::string norm = batch_norm_of(info.name); !norm.empty()) {
      copies.add(weights, norm + kTracked, tracked);
    }
  }
  CheckpointInfo info;
  info.step = static_cast<std::int64_t>(state.step);
  info.config_sha256 = config_sha256(model.config());
  info.extra = {{"random_epoch", state.random_epoch},     {"skipped_steps", state.skipped_steps},
                {"skips_in_a_row", state.skips_in_a_row}, {"run", state.run},
                {"smooth_loss", state.smooth_loss},       {"seconds", time.wall},
                {"cpu_seconds", time.processor}};
  if (state.best) {
    info.extra["best_run"] = state.best->run;
    info.extra["best_loss"] = state.best->loss;
    const ParameterSnapshot& best = state.best->parameters;
    for (const auto& [name, values] : best_arenas(best)) {
      optimizer.add(name, {static_cast<std::int64_t>(values->size())}, std::span<const float>(*values));
    }
  }
  return write_checkpoint(run, info, weights, optimizer, keep);
}

void restore_model(const Checkpoint& checkpoint, Model& model, bool moments) {
  ParameterStore& store = model.store();
  for (const ParameterInfo& info : store.weights()) {
    restore_slot(checkpoint.model, info.name, store, info.slot);
    if (!moments) continue;
    restore_slot(checkpoint.state, "adam.m." + info.name, store, store.slot(info.name, Arena::moment1));
    restore_slot(checkpoint.state, "adam.v." + info.name, store, store.slot(info.name, Arena::moment2));
  }
  for (const ParameterInfo& info : store.buffers()) {
    const bool optimizer = is_optimizer_buffer(info.name);
    if (optimizer && !moments) continue;
    restore_slot(optimizer ? checkpoint.state : checkpoint.model, info.name, store, info.slot);
  }
}

TrainerState restore_state(const Checkpoint& checkpoint) {
  TrainerState state;
  state.step = static_cast<std::uint64_t>(checkpoint.info.step);
  const auto field = [&](const char* name) {
    const auto found = checkpoint.info.extra.find(name);
    if (found == checkpoint.info.extra.end() || !found->is_number_unsigned()) {
      throw CheckpointError(fmt::format("{}: manifest.json: {}: expected a number; this checkpoint cannot be resumed",
                                        checkpoint.folder.string(), name));
    }
    return found->get<std::uint64_t>();
  };
  state.random_epoch = field("random_epoch");
  state.skipped_steps = field("skipped_steps");
  state.skips_in_a_row = field("skips_in_a_row");
  state.run = field("run");
  const auto loss = [&](const char* name) {
    const auto found = checkpoint.info.extra.find(name);
    const bool finite = found != checkpoint.info.extra.end() && found->is_number();
    return finite ? found->get<double>() : std::numeric_limits<double>::infinity();  // which JSON writes as null
  };
  state.smooth_loss = loss("smooth_loss");
  if (checkpoint.info.extra.contains("best_run")) {
    BestRun best{field("best_run"), loss("best_loss"), {}};
    for (const auto& [name, values] : best_arenas(best.parameters)) *values = checkpoint.state.values<float>(name);
    state.best = std::make_shared<const BestRun>(std::move(best));
  }
  return state;
}

TrainingTime trained_time(const Checkpoint& checkpoint) {
  const nlohmann::json& extra = checkpoint.info.extra;
  return {extra.value("seconds", 0.0), extra.value("cpu_seconds", 0.0)};
}

}  // namespace roap::io
