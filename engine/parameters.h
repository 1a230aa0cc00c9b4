#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/device.h"
#include "engine/tensor.h"
#include "kernels/common/tap_window.h"

namespace roap {

/// How a weight starts. Random values depend on the run's seed and the weight's name only.
struct Initializer {
  enum class Kind { constant, uniform, normal };
  Kind kind = Kind::constant;
  double a = 0;  ///< constant: the value; uniform: lower bound; normal: mean
  double b = 0;  ///< uniform: upper bound; normal: standard deviation
  static Initializer constant(double value) { return {Kind::constant, value, 0}; }
  static Initializer uniform(double bound) { return {Kind::uniform, -bound, bound}; }
  static Initializer normal(double deviation) { return {Kind::normal, 0, deviation}; }
};

/// The flat arrays of persistent state. Weights, gradients and both Adam moments share one layout.
enum class Arena : std::uint8_t { weights, gradients, moment1, moment2, buffers };
inline constexpr int kArenas = 5;

/// A range of an arena.
struct Slot {
  Arena arena = Arena::weights;
  std::int64_t offset = 0;  ///< in elements
  Shape shape;              ///< as files have it and as initial values are drawn
  TapWindow taps;           ///< of a convolution's weights [co, ci, kh, kw]: those in memory
  /// The shape in memory: `shape`, or [co, rows, columns, ci] of the taps.
  [[nodiscard]] Shape stored_shape() const;
};

/// Which taps of convolutions are in memory. On small maps many are dead: they multiply zeros only, so they are never
/// trained (62 % of ResNet-18's weights on 32 x 32 images). Results are the same bits.
enum class StoredTaps : std::uint8_t { live, all };

struct ParameterInfo {
  std::string name;  ///< "grounder.conv1.weight"
  Slot slot;
  Initializer initializer;
};

/// Contents of the arenas that a run changes (not the gradients), on the host: in the order of their declaration and in
/// their shapes, dead taps included, each beginning at a multiple of 16 elements.
struct ParameterSnapshot {
  std::vector<float> weights, moment1, moment2, buffers;
};

/// Owns all state that lives longer than one step: weights, gradients, Adam moments and buffers (BatchNorm statistics),
/// each in one flat array on the device, so that Adam is one launch and a checkpoint a list of slices. Declared while
/// graphs are built; `allocate` ends the declarations. Dead taps of convolutions are not in the arenas: the host keeps
/// them for checkpoints.
class ParameterStore {
 public:
  explicit ParameterStore(DeviceKind device = DeviceKind::cpu, StoredTaps taps = StoredTaps::live)
      : device_(device), stored_taps_(taps) {}

  /// Declares a weight, or finds it again when a second graph shares it (shape and taps must be the same).
  Slot declare(const std::string& name, Shape shape, Initializer initializer, const TapWindow& taps = {});
  Slot declare_buffer(const std::string& name, Shape shape, Initializer initializer);

  /// Allocates the arenas (zero-filled) and sets every weight and buffer from `seed`.
  void initialize(std::uint64_t seed);
  /// A fresh start in the same memory: other random weights for every `run`, moments zero, buffers as at first.
  void restart(std::uint64_t seed, std::uint64_t run);
  /// Copies of all that a run changes, and back. A snapshot of another model is a ShapeError.
  [[nodiscard]] ParameterSnapshot snapshot() const;
  void restore(const ParameterSnapshot& snapshot);
  void allocate();

  [[nodiscard]] const std::vector<ParameterInfo>& weights() const { return weights_; }
  [[nodiscard]] const std::vector<ParameterInfo>& buffers() const { return buffers_; }
  /// The slot of that weight (or buffer) in `arena`; throws UsageError where there is none.
  [[nodiscard]] Slot slot(const std::string& name, Arena arena = Arena::weights) const;
  /// The whole arena as one flat slot. Every arena but buffers has weight_count() elements.
  [[nodiscard]] Slot all(Arena arena) const;
  /// Elements of the weights arena, padding included (each weight starts at a multiple of 16 elements).
  [[nodiscard]] std::int64_t weight_count() const { return weight_count_; }
  /// Offset of the first weight whose name does not start with `prefix`; weight_count() where there is none. The
  /// weights of the first network are declared together, so they end there.
  [[nodiscard]] std::int64_t first_offset_after(const std::string& prefix) const;
  /// Number of weights without padding, dead taps included.
  [[nodiscard]] std::int64_t parameter_count() const;
  [[nodiscard]] StoredTaps stored_taps() const { return stored_taps_; }

  [[nodiscard]] void* data(const Slot& slot) const;
  /// Values in the slot's shape. Of dead taps the weights are what was last written, the other arenas zero.
  [[nodiscard]] std::vector<float> read(const Slot& slot) const;
  [[nodiscard]] std::vector<double> read_f64(const Slot& slot) const;
  void write(const Slot& slot, std::span<const float> values);
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] DeviceKind device() const { return device_; }

 private:
  Slot declare_in(std::vector<ParameterInfo>& list, std::int64_t& count, Arena arena, const std::string& name,
                  Shape shape, Initializer initializer, const TapWindow& taps = {});
  void set_initial(std::uint64_t seed, std::uint64_t run);
  template <class T>
  [[nodiscard]] std::vector<T> read_as(const Slot& slot) const;
  [[nodiscard]] std::vector<float> read_snapshot(Arena arena) const;
  void write_snapshot(Arena arena, std::span<const float> values);

  DeviceKind device_;
  StoredTaps stored_taps_;
  std::vector<ParameterInfo> weights_, buffers_;
  std::map<std::string, std::size_t> weight_index_, buffer_index_;
  std::int64_t weight_count_ = 0, buffer_count_ = 0;
  std::vector<DeviceBuffer> arenas_;
  std::map<std::int64_t, std::vector<float>> dead_taps_;  ///< by offset, whole weights, current where taps are dead
};

}  // namespace roap
