#include "models/synthesizer.h"

#include <numeric>
#include <vector>

#include "kernels/concat_columns/concat_columns_op.h"
#include "kernels/layer_norm/layer_norm_op.h"
#include "kernels/linear/linear_op.h"
#include "kernels/point_mlp/point_mlp_op.h"

namespace roap {

TensorId build_synthesizer(Graph& graph, const SynthesizerConfig& config, TensorId y, TensorId symbols) {
  const int width = config.width;
  const int variables = static_cast<int>(graph.shape(symbols)[1]);
  std::vector<int> all(static_cast<std::size_t>(variables));
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::vector<int>> each;
  for (const int j : all) each.push_back({j});

  const TensorId out = point_mlp(graph, "synthesizer.mlp_out", y, {}, {{}}, width, width, config.input_gain);
  const TensorId rel = point_mlp(graph, "synthesizer.mlp_rel", y, symbols, each, width, width, config.input_gain);
  const TensorId io = point_mlp(graph, "synthesizer.mlp_io", y, symbols, {all}, width, width, config.input_gain);
  TensorId h = concat_columns(graph, "synthesizer.features", {out, io, rel});
  h = linear(graph, "synthesizer.mlp_prog.0", h, width);
  h = layer_norm(graph, "synthesizer.mlp_prog.1", h, true);
  h = linear(graph, "synthesizer.mlp_prog.3", h, width);
  h = layer_norm(graph, "synthesizer.mlp_prog.4", h, true);
  return linear(graph, "synthesizer.mlp_prog.6", h, config.logit_count);
}

}  // namespace roap
