#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "engine/graph.h"
#include "kernels/common/philox.h"

namespace roap {

/// Images of one split, as bytes in [image, height, width, channels] order, and how they are normalised.
struct ImageSet {
  int count = 0, height = 0, width = 0, channels = 0;
  std::span<const std::uint8_t> pixels;  ///< owned by the data set
  std::array<float, 3> scale{1, 1, 1};   ///< input = pixel * scale[channel] + shift[channel]
  std::array<float, 3> shift{0, 0, 0};
};

/// The pairs of a training step inside a graph: two tensors and what fills them. Opaque: it leads to no label.
class PairStream {
 public:
  PairStream(TensorId image_index, TensorId y) : image_index_(image_index), y_(y) {}
  PairStream(const PairStream&) = delete;
  PairStream& operator=(const PairStream&) = delete;
  virtual ~PairStream() = default;
  [[nodiscard]] TensorId image_index() const { return image_index_; }  ///< i32 [pairs * symbols]
  [[nodiscard]] TensorId y() const { return y_; }                      ///< f32 [tasks, pairs]
  /// Called once, before the first run: binds data that the graph draws from.
  virtual void bind(Executor& executor) const {}
  /// Called before each run: what the host has to write for that key.
  virtual void before_run(Executor& executor, const RandomKey& key) const {}

 private:
  TensorId image_index_, y_;
};

/// An endless stream of (images, y) pairs: all that training may see. Neither the symbols behind the images nor the
/// formulas behind y can be reached from here; they are in Gold, which only metrics hold.
class PairSource {
 public:
  virtual ~PairSource() = default;
  [[nodiscard]] virtual int tasks() const = 0;
  /// Images per pair.
  [[nodiscard]] virtual int symbols() const = 0;
  [[nodiscard]] virtual const ImageSet& images() const = 0;
  /// Standard deviation of y of each task over the training distribution; > 0.
  [[nodiscard]] virtual std::span<const float> sigma() const = 0;
  /// Draws `pairs` pairs, a function of the key alone: image_index [pairs * symbols] (image j of pair b at b * symbols
  /// + j) and y [tasks, pairs]. Equal exact values of y are bitwise equal.
  virtual void draw(const RandomKey& key, int pairs, std::span<std::int32_t> image_index, std::span<float> y) const = 0;
  /// Appends the same draws to a graph, keyed by the words in the tensor `key` u32 [4]. By default the host draws.
  [[nodiscard]] virtual std::unique_ptr<PairStream> stream(Graph& graph, TensorId key, int pairs) const;
};

}  // namespace roap
