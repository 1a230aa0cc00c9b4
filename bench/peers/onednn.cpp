#include <algorithm>
#include <dnnl.hpp>
#include <unordered_map>

#include "bench/peers/peer.h"
#include "kernels/common/parallel.h"
#include "kernels/conv2d/conv2d_op.h"
#include "kernels/layer_norm/layer_norm_op.h"
#include "kernels/linear/linear_op.h"
#include "kernels/point_mlp/point_mlp_op.h"

// oneDNN on whole batches, with its own threads, as a framework calls it: one primitive after the other. Images stay in
// our layout (NHWC); weights change every step, so that bringing them into a primitive's layout is part of its time.

namespace roap::bench {

namespace {

using Memory = dnnl::memory;
using Dims = Memory::dims;
using Tag = Memory::format_tag;
using Arguments = std::unordered_map<int, Memory>;
constexpr auto kF32 = Memory::data_type::f32;

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& stream() {
  static dnnl::stream stream(engine());
  return stream;
}

Memory on(const Memory::desc& desc, const float* data) { return {desc, engine(), const_cast<float*>(data)}; }
Memory on(const Dims& dims, Tag tag, const float* data) { return on(Memory::desc(dims, kF32, tag), data); }

/// A chain of primitives.
class OneDnnPeer : public Peer {
 public:
  OneDnnPeer(const float* ours, std::int64_t count) : ours_(ours), result_(static_cast<std::size_t>(count)) {}
  [[nodiscard]] std::string name() const override { return "oneDNN"; }
  void run() override {
    for (const auto& [primitive, arguments] : steps_) primitive.execute(stream(), arguments);
    stream().wait();
  }
  [[nodiscard]] double difference() const override { return relative_difference(ours_, result_); }

 protected:
  void then(const dnnl::primitive& primitive, Arguments arguments) {
    steps_.emplace_back(primitive, std::move(arguments));
  }
  /// The same numbers in the layout a primitive wants.
  Memory reordered(const Memory& from, const Memory::desc& layout) {
    if (from.get_desc() == layout) return from;
    const Memory to(layout, engine());
    then(dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
    return to;
  }
  float* result() { return result_.data(); }

 private:
  const float* ours_;
  std::vector<float> result_;
  std::vector<std::pair<dnnl::primitive, Arguments>> steps_;
};

class ConvolutionPeer : public OneDnnPeer {
 public:
  ConvolutionPeer(Conv2dPass pass, const Conv2dDims& d, const RunContext& c)
      : OneDnnPeer(c.out<float>(0), c.out_shape(0).count()) {
    const Dims stride{d.stride, d.stride}, padding{d.padding, d.padding};
    const Memory::desc x({d.n, d.ci, d.h, d.w}, kF32, Tag::nhwc), y({d.n, d.co, d.ho(), d.wo()}, kF32, Tag::nhwc);
    const Memory::desc any({d.co, d.ci, d.kh, d.kw}, kF32, Tag::any), plain({d.co, d.ci, d.kh, d.kw}, kF32, Tag::ohwi);
    constexpr auto kDirect = dnnl::algorithm::convolution_direct;
    const dnnl::convolution_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, kDirect, x, any, y, stride, padding, padding}, engine());
    const float *a = c.in<float>(0), *b = c.in<float>(1);
    if (pass == Conv2dPass::forward) {
      const Memory w = reordered(on(plain, b), forward.weights_desc());
      then(dnnl::convolution_forward(forward),
           {{DNNL_ARG_SRC, on(x, a)}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, on(y, result())}});
    } else if (pass == Conv2dPass::backward_data) {
      const dnnl::convolution_backward_data::primitive_desc data({kDirect, x, any, y, stride, padding, padding},
                                                                 engine(), forward);
      const Memory w = reordered(on(plain, b), data.weights_desc());
      then(dnnl::convolution_backward_data(data),
           {{DNNL_ARG_DIFF_DST, on(y, a)}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DIFF_SRC, on(x, result())}});
    } else {
      const dnnl::convolution_backward_weights::primitive_desc weight({kDirect, x, any, y, stride, padding, padding},
                                                                      engine(), forward);
      const Memory dw(weight.diff_weights_desc(), engine()), out = on(plain, result());
      then(dnnl::convolution_backward_weights(weight),
           {{DNNL_ARG_DIFF_DST, on(y, a)}, {DNNL_ARG_SRC, on(x, b)}, {DNNL_ARG_DIFF_WEIGHTS, dw}});
      then(dnnl::reorder(dw, out), {{DNNL_ARG_FROM, dw}, {DNNL_ARG_TO, out}});
    }
  }
};

/// y = x w^T + b and its gradients, by matrix products.
class LinearPeer : public OneDnnPeer {
 public:
  /// a [rows, inner] b [inner, columns] in the given layouts, with a bias [columns] unless null.
  LinearPeer(const RunContext& c, const Memory& a, const Memory& b, const float* bias)
      : OneDnnPeer(c.out<float>(0), c.out_shape(0).count()) {
    const Dims out{a.get_desc().dims()[0], b.get_desc().dims()[1]};
    const Memory y = on(out, Tag::ab, result());
    Arguments arguments{{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, y}};
    if (bias == nullptr) {
      then(dnnl::matmul({{a.get_desc(), b.get_desc(), y.get_desc()}, engine()}), arguments);
      return;
    }
    const Memory added = on({1, out[1]}, Tag::ab, bias);
    arguments[DNNL_ARG_BIAS] = added;
    then(dnnl::matmul({{a.get_desc(), b.get_desc(), added.get_desc(), y.get_desc()}, engine()}), arguments);
  }
};

/// What a row of point_mlp and layer_norm need: product, normalisation and ReLU on rows.
class RowsPeer : public OneDnnPeer {
 public:
  using OneDnnPeer::OneDnnPeer;

 protected:
  /// -> [rows, out]
  Memory product(const Memory& x, const float* w, const float* b, std::int64_t out, float* place = nullptr) {
    const Dims dims = x.get_desc().dims();
    const Memory y = place_or_own({dims[0], out}, place), weights = on({dims[1], out}, Tag::ba, w),
                 bias = on({1, out}, Tag::ab, b);
    then(dnnl::matmul({{x.get_desc(), weights.get_desc(), bias.get_desc(), y.get_desc()}, engine()}),
         {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, y}});
    return y;
  }
  Memory normalised(const Memory& x, const float* gamma, const float* beta, float epsilon, bool relu,
                    float* place = nullptr) {
    const Dims dims = x.get_desc().dims();
    const Memory y = place_or_own(dims, place), scale = on({dims[1]}, Tag::a, gamma),
                 shift = on({dims[1]}, Tag::a, beta);
    const dnnl::layer_normalization_forward::primitive_desc norm(
        {dnnl::prop_kind::forward_training, x.get_desc(), epsilon,
         dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift},
        engine());
    then(dnnl::layer_normalization_forward(norm), {{DNNL_ARG_SRC, x},
                                                   {DNNL_ARG_DST, y},
                                                   {DNNL_ARG_SCALE, scale},
                                                   {DNNL_ARG_SHIFT, shift},
                                                   {DNNL_ARG_MEAN, Memory(norm.mean_desc(), engine())},
                                                   {DNNL_ARG_VARIANCE, Memory(norm.variance_desc(), engine())}});
    if (relu) {
      const dnnl::eltwise_forward::primitive_desc activation(
          {dnnl::prop_kind::forward_training, dnnl::algorithm::eltwise_relu, y.get_desc(), 0.0f}, engine());
      then(dnnl::eltwise_forward(activation), {{DNNL_ARG_SRC, y}, {DNNL_ARG_DST, y}});
    }
    return y;
  }

 private:
  static Memory place_or_own(const Dims& dims, float* place) {
    const Memory::desc desc(dims, kF32, Tag::ab);
    return place != nullptr ? Memory(desc, engine(), place) : Memory(desc, engine());
  }
};

class LayerNormPeer : public RowsPeer {
 public:
  LayerNormPeer(const LayerNormDims& d, const RunContext& c) : RowsPeer(c.out<float>(0), c.out_shape(0).count()) {
    const Memory x = on({c.in_shape(0)[0], c.in_shape(0)[1]}, Tag::ab, c.in<float>(0));
    normalised(x, c.in<float>(1), c.in<float>(2), d.epsilon, d.relu, result());
  }
};

/// Every row of every task through the network, group by group, then the maximum over pairs by a loop of our own.
class PointMlpPeer : public RowsPeer {
 public:
  PointMlpPeer(const PointMlpOp& op, const RunContext& c)
      : RowsPeer(c.out<float>(0), c.out_shape(0).count()),
        d_(op.dims(c.input_specs())),
        in_(point_mlp_inputs<float>(c, 0, op.columns())),
        x_(static_cast<std::size_t>(d_.cells() * d_.in)),
        z_(static_cast<std::size_t>(d_.cells() * d_.features)) {
    const auto& w = in_.w;
    const Memory x = on({d_.cells(), d_.in}, Tag::ab, x_.data());
    const Memory a1 = normalised(product(x, w.w0, w.b0, d_.hidden), w.gamma1, w.beta1, kPointMlpEpsilon, true);
    const Memory a2 = normalised(product(a1, w.w3, w.b3, d_.hidden), w.gamma4, w.beta4, kPointMlpEpsilon, true);
    product(a2, w.w6, w.b6, d_.features, z_.data());
  }
  void run() override {
    for (std::int64_t g = 0; g < d_.groups; ++g) {
      gather(g);
      RowsPeer::run();
      pool(g);
    }
  }

 private:
  void gather(std::int64_t g) {
    parallel_for(d_.tasks, [&](std::int64_t t) {
      for (std::int64_t i = 0; i < d_.pairs; ++i) {
        float* row = x_.data() + (t * d_.pairs + i) * d_.in;
        row[0] = in_.y[t * d_.pairs + i];
        for (std::int64_t j = 1; j < d_.in; ++j) row[j] = in_.s[i * d_.symbols + in_.columns[g * (d_.in - 1) + j - 1]];
      }
    });
  }
  void pool(std::int64_t g) {
    parallel_for(d_.tasks, [&](std::int64_t t) {
      float* h = result() + (t * d_.groups + g) * d_.features;
      const float* row = z_.data() + t * d_.pairs * d_.features;
      std::copy_n(row, d_.features, h);
      for (std::int64_t i = 1; i < d_.pairs; ++i) {
        row += d_.features;
        for (std::int64_t f = 0; f < d_.features; ++f) h[f] = std::max(h[f], row[f]);
      }
    });
  }

  PointMlpDims d_;
  PointMlpInputs<float> in_;
  std::vector<float> x_, z_;
};

std::unique_ptr<Peer> linear_peer(std::string_view type, const RunContext& c) {
  const Shape &first = c.in_shape(0), &second = c.in_shape(1);
  const float *a = c.in<float>(0), *b = c.in<float>(1);
  if (type == "linear") {
    return std::make_unique<LinearPeer>(c, on({first[0], first[1]}, Tag::ab, a), on({second[1], second[0]}, Tag::ba, b),
                                        c.in<float>(2));
  }
  if (type == "linear_backward_data") {
    return std::make_unique<LinearPeer>(c, on({first[0], first[1]}, Tag::ab, a), on({second[0], second[1]}, Tag::ab, b),
                                        nullptr);
  }
  // dw = dy^T x; ours also sums the bias gradient.
  return std::make_unique<LinearPeer>(c, on({first[1], first[0]}, Tag::ba, a), on({second[0], second[1]}, Tag::ab, b),
                                      nullptr);
}

}  // namespace

std::unique_ptr<Peer> onednn_peer(const Op& op, const RunContext& c) {
  const std::string_view type = op.type();
  if (c.in_dtype(0) != DType::f32) return nullptr;
  if (type == "conv2d") {
    return std::make_unique<ConvolutionPeer>(Conv2dPass::forward,
                                             static_cast<const Conv2dOp&>(op).dims(c.input_specs()), c);
  }
  if (type == "conv2d_backward_data") {
    return std::make_unique<ConvolutionPeer>(Conv2dPass::backward_data,
                                             static_cast<const Conv2dBackwardDataOp&>(op).dims(), c);
  }
  if (type == "conv2d_backward_weight") {
    const auto& weight = static_cast<const Conv2dBackwardWeightOp&>(op);
    if (weight.members() > 1) return nullptr;
    return std::make_unique<ConvolutionPeer>(Conv2dPass::backward_weight, weight.dims(), c);
  }
  if (type.starts_with("linear")) return linear_peer(type, c);
  if (type == "layer_norm") {
    return std::make_unique<LayerNormPeer>(static_cast<const LayerNormOp&>(op).dims(c.in_shape(0)), c);
  }
  if (type == "point_mlp") return std::make_unique<PointMlpPeer>(static_cast<const PointMlpOp&>(op), c);
  return nullptr;
}

}  // namespace roap::bench
