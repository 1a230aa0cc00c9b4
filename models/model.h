#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "models/config.h"
#include "models/data/pair_source.h"
#include "models/mlp_head.h"
#include "models/sketch.h"
#include "models/update.h"

namespace roap {

/// s -> a s + b.
struct AffineMap {
  double a = 1, b = 0;
  [[nodiscard]] bool is_identity() const { return a == 1 && b == 0; }
  /// "s -> 0.7 s + 0.05"
  [[nodiscard]] std::string text() const;
};

/// What the data fixes about a model.
struct ProblemShape {
  int tasks = 0, symbols = 0;
  int height = 0, width = 0, channels = 0;
  std::array<float, 3> scale{1, 1, 1};  ///< normalisation of pixels, see ImageSet
  std::array<float, 3> shift{0, 0, 0};
};

ProblemShape problem_shape(const PairSource& source);

/// Weights and statistics of grounder and (where the method has one) synthesizer or MLP, and their use in evaluation
/// mode. Training is Trainer's.
class Model {
 public:
  /// Declares all weights, grounder first, and initialises them from `config.train.seed`. `device` must be set up.
  Model(const Config& config, const ProblemShape& problem, DeviceKind device = DeviceKind::cpu,
        StoredTaps taps = StoredTaps::live);

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const ProblemShape& problem() const { return problem_; }
  [[nodiscard]] const Sketch& sketch() const { return sketch_; }
  [[nodiscard]] ParameterStore& store() { return store_; }
  /// Type of the grounder's activations (device.precision).
  [[nodiscard]] DType activation_type() const;

  /// Appends the logits [T, P] to a graph: the synthesizer's, or free ones (method free).
  TensorId logits(Graph& graph, TensorId y, TensorId symbols) const;

  /// Appends yhat [T, B] of symbols [B, V] by the MLP (methods mlp-disjoint and mlp-onehot).
  TensorId head(Graph& graph, TensorId symbols) const;

  /// Numbers that the grounder gives to those images, in evaluation mode. An image that is asked for several times is
  /// computed once, unless `repeats` says otherwise; the numbers are the same bits.
  enum class Repeats : std::uint8_t { share, compute };
  std::vector<float> ground(std::span<const std::uint8_t> pixels, int image_count, std::span<const std::int32_t> index,
                            Repeats repeats = Repeats::share);
  /// Folds the map into the grounder's last layer: from now on every symbol s is a s + b, up to rounding.
  void apply_gauge(const AffineMap& map);
  /// Logits [T, P] for a set of pairs: y [T, pairs], symbols [pairs, V].
  std::vector<float> synthesise(int pairs, std::span<const float> y, std::span<const float> symbols);
  /// The MLP's yhat [T, pairs] of symbols [pairs, V].
  std::vector<float> predict(std::span<const float> symbols);

 private:
  struct GroundGraph;
  struct SynthesisGraph;
  GroundGraph& ground_graph(int image_count);
  std::vector<float> ground_each(std::span<const std::uint8_t> pixels, int image_count,
                                 std::span<const std::int32_t> index);
  SynthesisGraph& synthesis_graph(int pairs);

  Config config_;
  ProblemShape problem_;
  Sketch sketch_;
  ParameterStore store_;
  std::map<int, std::shared_ptr<GroundGraph>> ground_graphs_;        ///< by images in the data set
  std::map<int, std::shared_ptr<SynthesisGraph>> synthesis_graphs_;  ///< by pairs
  std::unique_ptr<MlpPredictor> predictor_;                          ///< where the method has an MLP
};

}  // namespace roap
