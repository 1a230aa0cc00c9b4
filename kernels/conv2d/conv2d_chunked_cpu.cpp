#include <algorithm>
#include <unordered_map>
#include <vector>

#include "kernels/common/parallel.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_onednn.h"

// Computes: a convolution with oneDNN's primitives, NHWC images in place, weights in the primitive's own layout.
// Mapping: a chunk of the batch is a piece, done by a one-threaded primitive; the cut depends on the sizes alone.
// Memory: live weights, one scratchpad per chunk, and one partial dw (or, to accumulate, one dx) per chunk in the
//   workspace.
// Numerics: partial dw are added chunk by chunk in ascending order.

namespace roap::cpu {

namespace {

using Memory = dnnl::memory;
using Arguments = std::unordered_map<int, Memory>;

constexpr std::int64_t kMaxChunks = 8;
constexpr double kChunkFlop = 2e6;                 // smaller chunks are dominated by the cost of a call
constexpr std::int64_t kWeightChunkOutputs = 192;  // a partial dw pays off over that many output positions

std::int64_t chunk_count(Conv2dPass pass, const Conv2dDims& d) {
  const std::int64_t outputs = d.output_rows();
  const double flop = 2.0 * static_cast<double>(outputs) * static_cast<double>(d.ci * d.co * d.kh * d.kw);
  std::int64_t chunks = std::min({kMaxChunks, d.n, static_cast<std::int64_t>(flop / kChunkFlop)});
  if (pass == Conv2dPass::backward_weight) chunks = std::min(chunks, outputs / kWeightChunkOutputs);
  return std::max<std::int64_t>(1, chunks);
}

/// A primitive for some number of images, and the descriptions of what it reads and writes.
struct Kernel {
  dnnl::primitive primitive;
  Memory::desc x, w, y, scratchpad;
};

Memory::desc any_layout(const Conv2dDims& d) {
  return {
      {d.co, d.ci, vertical_axis(d).taps, horizontal_axis(d).taps}, Memory::data_type::f32, Memory::format_tag::any};
}

/// `layout`: the weights' layout, of which the hint for backward primitives is free.
Kernel make_kernel(Conv2dPass pass, const Conv2dDims& d, std::int64_t images, const Memory::desc& layout) {
  const OneThread one_thread;
  const Conv2dAxis v = vertical_axis(d);
  const Conv2dAxis h = horizontal_axis(d);
  constexpr auto kType = Memory::data_type::f32;
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  const Memory::desc x({images, d.ci, d.h, d.w}, kType, Memory::format_tag::nhwc);
  const Memory::desc y({images, d.co, v.out, h.out}, kType, Memory::format_tag::nhwc);
  const auto behind = [](const Conv2dAxis& a) { return std::max<std::int64_t>(0, a.input(a.out - 1, a.taps) - a.in); };
  const Memory::dims stride{d.stride, d.stride};
  const Memory::dims before{v.padding, h.padding};
  const Memory::dims after{behind(v), behind(h)};
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  const Memory::desc w = pass == Conv2dPass::forward ? layout : any_layout(d);
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, kDirect, x, w, y, stride, before, after}, attributes, onednn_engine());
  if (pass == Conv2dPass::forward) {
    return {dnnl::convolution_forward(forward), x, forward.weights_desc(), y, forward.scratchpad_desc()};
  }
  if (pass == Conv2dPass::backward_data) {
    const dnnl::convolution_backward_data::primitive_desc data({kDirect, x, layout, y, stride, before, after},
                                                               attributes, onednn_engine(), forward);
    return {dnnl::convolution_backward_data(data), x, data.weights_desc(), y, data.scratchpad_desc()};
  }
  const dnnl::convolution_backward_weights::primitive_desc weight({kDirect, x, layout, y, stride, before, after},
                                                                  attributes, onednn_engine(), forward);
  return {dnnl::convolution_backward_weights(weight), x, weight.diff_weights_desc(), y, weight.scratchpad_desc()};
}

class ChunkedPlan : public Conv2dPlan {
 public:
  ChunkedPlan(Conv2dPass pass, const Conv2dDims& d)
      : pass_(pass),
        x_image_(d.h * d.w * d.ci),
        y_image_(d.ho() * d.wo() * d.co),
        kernels_(make_kernels(pass, d)),
        weights_(d, kernels_[0].w),
        partial_bytes_(align_workspace(weights_.bytes())) {
    const std::int64_t count = chunk_count(pass, d);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t begin = i * (d.n / count) + std::min(i, d.n % count);
      const std::int64_t images = d.n / count + (i < d.n % count ? 1 : 0);
      add_chunk(kernels_[images == d.n / count ? 0 : 1], begin, images);
    }
    const std::size_t parts = pass == Conv2dPass::backward_weight ? chunks_.size() : 1;
    scratchpads_offset_ = parts * partial_bytes_;
    sums_offset_ = scratchpads_offset_ + chunks_.size() * scratchpad_bytes();
    const std::int64_t sums = pass == Conv2dPass::backward_data ? d.n * x_image_ : 0;
    workspace_bytes_ = sums_offset_ + static_cast<std::size_t>(sums) * sizeof(float);
  }

  [[nodiscard]] std::size_t workspace_bytes() const override { return workspace_bytes_; }

  void run(const float* a, const float* b, float* result, bool accumulate, std::byte* workspace) override {
    if (pass_ != Conv2dPass::backward_weight) weights_.gather(b, workspace);
    parallel_for(static_cast<std::int64_t>(chunks_.size()), [&](std::int64_t i) {
      const OneThread one_thread;
      run_chunk(static_cast<std::size_t>(i), a, b, result, accumulate, workspace);
    });
    if (pass_ == Conv2dPass::backward_weight) {
      sum_partials(reinterpret_cast<float*>(workspace));
      weights_.scatter(workspace, result);
    }
  }

 private:
  struct Chunk {
    const dnnl::primitive* primitive;
    std::int64_t begin, images;
    Memory x, w, y, scratchpad;
    Arguments arguments;
  };

  /// For chunks of n / count images and, where the batch is no multiple, of one more; both in the layout of the first.
  static std::vector<Kernel> make_kernels(Conv2dPass pass, const Conv2dDims& d) {
    const std::int64_t count = chunk_count(pass, d);
    std::vector<Kernel> kernels{make_kernel(pass, d, d.n / count, any_layout(d))};
    if (d.n % count != 0) kernels.push_back(make_kernel(pass, d, d.n / count + 1, kernels[0].w));
    return kernels;
  }

  void add_chunk(const Kernel& kernel, std::int64_t begin, std::int64_t images) {
    const auto unplaced = [](const Memory::desc& desc) { return Memory(desc, onednn_engine(), nullptr); };
    Chunk chunk{&kernel.primitive,           begin, images, unplaced(kernel.x), unplaced(kernel.w), unplaced(kernel.y),
                unplaced(kernel.scratchpad), {}};
    const bool data = pass_ == Conv2dPass::backward_data;
    const bool weight = pass_ == Conv2dPass::backward_weight;
    chunk.arguments = {{data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, chunk.x},
                       {weight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, chunk.w},
                       {pass_ == Conv2dPass::forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, chunk.y},
                       {DNNL_ARG_SCRATCHPAD, chunk.scratchpad}};
    chunks_.push_back(std::move(chunk));
  }

  [[nodiscard]] std::size_t scratchpad_bytes() const {
    std::size_t bytes = 0;
    for (const Kernel& kernel : kernels_) bytes = std::max(bytes, kernel.scratchpad.get_size());
    return align_workspace(bytes);
  }

  void run_chunk(std::size_t i, const float* a, const float* b, float* result, bool accumulate, std::byte* workspace) {
    Chunk& chunk = chunks_[i];
    const auto images_at = [](const float* first, std::int64_t offset) { return const_cast<float*>(first) + offset; };
    const std::int64_t x_offset = chunk.begin * x_image_;
    const std::int64_t y_offset = chunk.begin * y_image_;
    float* sums = reinterpret_cast<float*>(workspace + sums_offset_) + x_offset;
    chunk.scratchpad.set_data_handle(workspace + scratchpads_offset_ + i * scratchpad_bytes());
    chunk.w.set_data_handle(workspace + (pass_ == Conv2dPass::backward_weight ? i * partial_bytes_ : 0));
    switch (pass_) {
      case Conv2dPass::forward:
        chunk.x.set_data_handle(images_at(a, x_offset));
        chunk.y.set_data_handle(result + y_offset);
        break;
      case Conv2dPass::backward_data:
        chunk.y.set_data_handle(images_at(a, y_offset));
        chunk.x.set_data_handle(accumulate ? sums : result + x_offset);
        break;
      case Conv2dPass::backward_weight:
        chunk.y.set_data_handle(images_at(a, y_offset));
        chunk.x.set_data_handle(images_at(b, x_offset));
        break;
    }
    chunk.primitive->execute(onednn_stream(), chunk.arguments);
    if (!accumulate) return;
    for (std::int64_t k = 0; k < chunk.images * x_image_; ++k) result[x_offset + k] += sums[k];
  }

  void sum_partials(float* partials) const {
    constexpr std::int64_t kGrain = 4096;
    const auto stride = static_cast<std::int64_t>(partial_bytes_ / sizeof(float));
    parallel_ranges(static_cast<std::int64_t>(weights_.bytes() / sizeof(float)), kGrain,
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::size_t chunk = 1; chunk < chunks_.size(); ++chunk) {
                        const float* partial = partials + static_cast<std::int64_t>(chunk) * stride;
                        for (std::int64_t k = begin; k < end; ++k) partials[k] += partial[k];
                      }
                    });
  }

  Conv2dPass pass_;
  std::int64_t x_image_, y_image_;
  std::vector<Kernel> kernels_;
  LiveWeights weights_;
  std::size_t partial_bytes_;
  std::vector<Chunk> chunks_;
  std::size_t scratchpads_offset_ = 0, sums_offset_ = 0, workspace_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Conv2dPlan> conv2d_chunked_plan(Conv2dPass pass, const Conv2dDims& dims) {
  return std::make_unique<ChunkedPlan>(pass, dims);
}

}  // namespace roap::cpu
