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

  const auto set_network = [&](const char* name, TensorId s, std::vector<std::vector<int>> columns) {
    return point_mlp(graph, name, y, s, {std::move(columns), {config.math}}, width, width, config.input_gain);
  };
  const TensorId out = set_network("synthesizer.mlp_out", {}, {{}});
  const TensorId rel = set_network("synthesizer.mlp_rel", symbols, each);
  const TensorId io = set_network("synthesizer.mlp_io", symbols, {all});
  TensorId h = concat_columns(graph, "synthesizer.features", {out, io, rel});
  h = linear(graph, "synthesizer.mlp_prog.0", h, width, {.math = config.math});
  h = layer_norm(graph, "synthesizer.mlp_prog.1", h, true);
  h = linear(graph, "synthesizer.mlp_prog.3", h, width, {.math = config.math});
  h = layer_norm(graph, "synthesizer.mlp_prog.4", h, true);
  LinearParams last{.math = config.math};
  if (config.logit_spread > 0) last.initial_bias = Initializer::normal(config.logit_spread);
  return linear(graph, "synthesizer.mlp_prog.6", h, config.logit_count, last);
}

}  // namespace roap
