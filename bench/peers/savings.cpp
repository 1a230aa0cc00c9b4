#include "bench/peers/peer.h"
#include "kernels/conv2d/conv2d_op.h"
#include "kernels/point_mlp/point_mlp_op.h"

// Our own kernels without one of the exact savings: what the saving itself is worth, quality of the kernel aside.

namespace roap::bench {

namespace {

/// Memory of a node's own kind.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes) : memory_((bytes + kArenaAlignment) / sizeof(float) + 1) {}
  [[nodiscard]] std::byte* data() {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    return reinterpret_cast<std::byte*>((address + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment);
  }

 private:
  std::vector<float> memory_;
};

class EveryRowForward : public Peer {
 public:
  EveryRowForward(const PointMlpOp& op, const RunContext& c)
      : d_(op.dims(c.input_specs())),
        in_(point_mlp_inputs<float>(c, 0, op.columns())),
        ours_(c.out<float>(0)),
        h_(static_cast<std::size_t>(c.out_shape(0).count())),
        index_(h_.size()),
        workspace_(cpu::point_mlp_forward_workspace(d_)) {}
  [[nodiscard]] std::string name() const override { return "every row"; }
  void run() override {
    cpu::point_mlp_forward(d_, {.share_rows = false}, in_, h_.data(), index_.data(), workspace_.data());
  }
  [[nodiscard]] double difference() const override { return relative_difference(ours_, h_); }

 private:
  PointMlpDims d_;
  PointMlpInputs<float> in_;
  const float* ours_;
  std::vector<float> h_;
  std::vector<std::int32_t> index_;
  Scratch workspace_;
};

class EveryRowBackward : public Peer {
 public:
  EveryRowBackward(const PointMlpBackwardOp& op, const RunContext& c)
      : context_(c),
        d_(op.dims(c.input_specs())),
        in_(point_mlp_inputs<float>(c, 2, op.columns())),
        workspace_(cpu::point_mlp_backward_workspace(d_)) {
    for (const TensorSpec& spec : c.output_specs()) gradients_.emplace_back(spec.present() ? spec.shape.count() : 0);
  }
  [[nodiscard]] std::string name() const override { return "every row"; }
  void run() override {
    const auto out = [&](std::size_t i) { return context_.out<float>(i) != nullptr ? gradients_[i].data() : nullptr; };
    cpu::point_mlp_backward(d_, {.share_rows = false}, in_, context_.in<float>(0), context_.in<std::int32_t>(1), out(0),
                            false, {out(1), out(2), out(3), out(4), out(5), out(6), out(7), out(8), out(9), out(10)},
                            workspace_.data());
  }
  [[nodiscard]] double difference() const override {
    double difference = 0;
    for (std::size_t i = 0; i < gradients_.size(); ++i) {
      if (context_.out<float>(i) == nullptr) continue;
      difference = std::max(difference, relative_difference(context_.out<float>(i), gradients_[i]));
    }
    return difference;
  }

 private:
  const RunContext& context_;
  PointMlpDims d_;
  PointMlpInputs<float> in_;
  std::vector<std::vector<float>> gradients_;
  Scratch workspace_;
};

/// A convolution as one over whole maps, padding multiplied, where ours leaves it out.
class WithPadding : public Peer {
 public:
  WithPadding(Conv2dPass pass, const Conv2dDims& d, const RunContext& c)
      : context_(c),
        plan_(cpu::conv2d_chunked_plan(pass, d)),
        result_(static_cast<std::size_t>(c.out_shape(0).count())),
        workspace_(plan_->workspace_bytes()) {}
  [[nodiscard]] std::string name() const override { return "with padding"; }
  void run() override {
    plan_->run(context_.in<float>(0), context_.in<float>(1), result_.data(), false, workspace_.data());
  }
  [[nodiscard]] double difference() const override { return relative_difference(context_.out<float>(0), result_); }

 private:
  const RunContext& context_;
  std::unique_ptr<cpu::Conv2dPlan> plan_;
  std::vector<float> result_;
  Scratch workspace_;
};

}  // namespace

std::unique_ptr<Peer> peer_without_saving(const Op& op, const RunContext& c) {
  const std::string_view type = op.type();
  if (c.in_dtype(0) != DType::f32) return nullptr;
  if (type == "point_mlp") return std::make_unique<EveryRowForward>(static_cast<const PointMlpOp&>(op), c);
  if (type == "point_mlp_backward") {
    return std::make_unique<EveryRowBackward>(static_cast<const PointMlpBackwardOp&>(op), c);
  }
  const auto convolution = [&](Conv2dPass pass, const Conv2dDims& d) -> std::unique_ptr<Peer> {
    const bool padded =
        vertical_axis(d).useful_pairs() * horizontal_axis(d).useful_pairs() < d.ho() * d.wo() * d.kh * d.kw;
    return padded ? std::make_unique<WithPadding>(pass, d, c) : nullptr;
  };
  if (type == "conv2d") {
    return convolution(Conv2dPass::forward, static_cast<const Conv2dOp&>(op).dims(c.input_specs()));
  }
  if (type == "conv2d_backward_data") {
    return convolution(Conv2dPass::backward_data, static_cast<const Conv2dBackwardDataOp&>(op).dims());
  }
  if (type == "conv2d_backward_weight") {
    const auto& weight = static_cast<const Conv2dBackwardWeightOp&>(op);
    return weight.members() == 1 ? convolution(Conv2dPass::backward_weight, weight.dims()) : nullptr;
  }
  return nullptr;
}

}  // namespace roap::bench
