#include "models/data/pair_source.h"

namespace roap {

namespace {

/// Draws on the host and writes the result into two inputs of the graph.
class HostStream : public PairStream {
 public:
  HostStream(const PairSource& source, Graph& graph, int pairs)
      : PairStream(graph.input("image_index", i32({pairs * source.symbols()})),
                   graph.input("y", f32({source.tasks(), pairs}))),
        source_(source),
        pairs_(pairs) {}

  void before_run(Executor& executor, const RandomKey& key) const override {
    std::vector<std::int32_t> index(static_cast<std::size_t>(pairs_ * source_.symbols()));
    std::vector<float> targets(static_cast<std::size_t>(pairs_) * static_cast<std::size_t>(source_.tasks()));
    source_.draw(key, pairs_, index, targets);
    executor.write(image_index(), std::span<const std::int32_t>(index));
    executor.write(y(), std::span<const float>(targets));
  }

 private:
  const PairSource& source_;
  int pairs_;
};

}  // namespace

std::unique_ptr<PairStream> PairSource::stream(Graph& graph, TensorId /*key*/, int pairs) const {
  return std::make_unique<HostStream>(*this, graph, pairs);
}

}  // namespace roap
