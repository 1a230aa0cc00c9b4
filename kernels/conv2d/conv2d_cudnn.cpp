#include "kernels/conv2d/conv2d_cudnn.h"

#include <cudnn.h>
#include <fmt/format.h>

#include <array>
#include <type_traits>

#include "kernels/common/error.h"
#include "kernels/common/handle.h"
#include "kernels/conv2d/conv2d_packing.h"

// Convolutions by cuDNN. It gets the whole kernel, with zeros for taps that w does not hold, because it pads a map
// alike on both sides; weights and their gradient are stored as the images are.

namespace roap::cuda {

namespace {

constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;

void check_cudnn(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw DeviceError(
      fmt::format("[cudnn] cannot {}: {}; device.conv=own does without cuDNN", what, cudnnGetErrorString(status)));
}

/// Never destroyed: CUDA may be gone before static objects are.
cudnnHandle_t cudnn() {
  static const cudnnHandle_t handle = [] {
    cudnnHandle_t created = nullptr;
    check_cudnn(cudnnCreate(&created), "start");
    return created;
  }();
  return handle;
}

template <class T>
constexpr cudnnDataType_t kDataType = std::is_same_v<T, float> ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
template <class T>
constexpr std::size_t kElementBytes = std::is_same_v<T, float> ? 4 : 2;

using Tensor = Handle<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
using Filter = Handle<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
using Convolution = Handle<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;

int to_int(std::int64_t size) { return static_cast<int>(size); }

template <class T>
Tensor images(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t channels) {
  Tensor tensor;
  check_cudnn(cudnnCreateTensorDescriptor(tensor.address()), "describe images");
  check_cudnn(cudnnSetTensor4dDescriptor(tensor.get(), CUDNN_TENSOR_NHWC, kDataType<T>, to_int(n), to_int(channels),
                                         to_int(h), to_int(w)),
              "describe images");
  return tensor;
}

template <class T>
Filter filter(const Conv2dDims& d) {
  Filter filter;
  check_cudnn(cudnnCreateFilterDescriptor(filter.address()), "describe weights");
  check_cudnn(cudnnSetFilter4dDescriptor(filter.get(), kDataType<T>, CUDNN_TENSOR_NHWC, to_int(d.co), to_int(d.ci),
                                         to_int(d.kh), to_int(d.kw)),
              "describe weights");
  return filter;
}

/// f32 without TF32, whose products have 10 bits.
template <class T>
constexpr cudnnMathType_t kMath = std::is_same_v<T, float> ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH;

void set_math(const Convolution& convolution, cudnnMathType_t math) {
  check_cudnn(cudnnSetConvolutionMathType(convolution.get(), math), "describe a convolution");
}

template <class T>
Convolution convolution(const Conv2dDims& d) {
  Convolution convolution;
  check_cudnn(cudnnCreateConvolutionDescriptor(convolution.address()), "describe a convolution");
  const int padding = to_int(d.padding), stride = to_int(d.stride);
  check_cudnn(cudnnSetConvolution2dDescriptor(convolution.get(), padding, padding, stride, stride, 1, 1,
                                              CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
              "describe a convolution");
  set_math(convolution, kMath<T>);
  return convolution;
}

/// Weights in cuDNN's layout.
PackedWeights cudnn_weights(const Conv2dDims& d) {
  const TapWindow stored = stored_window(d);
  PackedWeights p;
  p.rows = p.rows_padded = to_int(d.co);
  p.depth = p.depth_padded = to_int(d.ci);
  p.taps_y = to_int(d.kh);
  p.taps_x = to_int(d.kw);
  p.first_tap_y = -to_int(stored.first_row);
  p.first_tap_x = -to_int(stored.first_column);
  p.kh = to_int(stored.rows);
  p.kw = to_int(stored.columns);
  p.tap_stride = d.ci;
  p.row_stride = d.kh * d.kw * d.ci;
  return p;
}

/// Their gradient, as the only part of a sum.
WeightParts cudnn_weight_parts(const Conv2dDims& d) {
  const TapWindow stored = stored_window(d);
  WeightParts p;
  p.taps_y = to_int(d.kh);
  p.taps_x = to_int(d.kw);
  p.first_tap_y = -to_int(stored.first_row);
  p.first_tap_x = -to_int(stored.first_column);
  p.kx_stride = d.ci;
  p.ky_stride = d.kw * p.kx_stride;
  p.o_stride = d.kh * p.ky_stride;
  p.split_stride = d.co * p.o_stride;
  return p;
}

/// cuDNN's functions for a pass; all take two operands, the convolution and the result, in this order.
struct Forward {
  static constexpr Conv2dPass kPass = Conv2dPass::forward;
  using Performance = cudnnConvolutionFwdAlgoPerf_t;
  static constexpr auto kCandidates = cudnnGetConvolutionForwardAlgorithm_v7;
  static constexpr auto kTry = cudnnFindConvolutionForwardAlgorithm;
  static constexpr auto kWorkspaceSize = cudnnGetConvolutionForwardWorkspaceSize;
  static constexpr auto kRun = cudnnConvolutionForward;
};
struct BackwardData {
  static constexpr Conv2dPass kPass = Conv2dPass::backward_data;
  using Performance = cudnnConvolutionBwdDataAlgoPerf_t;
  static constexpr auto kCandidates = cudnnGetConvolutionBackwardDataAlgorithm_v7;
  static constexpr auto kTry = cudnnFindConvolutionBackwardDataAlgorithm;
  static constexpr auto kWorkspaceSize = cudnnGetConvolutionBackwardDataWorkspaceSize;
  static constexpr auto kRun = cudnnConvolutionBackwardData;
};
struct BackwardWeight {
  static constexpr Conv2dPass kPass = Conv2dPass::backward_weight;
  using Performance = cudnnConvolutionBwdFilterAlgoPerf_t;
  static constexpr auto kCandidates = cudnnGetConvolutionBackwardFilterAlgorithm_v7;
  static constexpr auto kTry = cudnnFindConvolutionBackwardFilterAlgorithm;
  static constexpr auto kWorkspaceSize = cudnnGetConvolutionBackwardFilterWorkspaceSize;
  static constexpr auto kRun = cudnnConvolutionBackwardFilter;
};

/// A pass with the first deterministic algorithm in cuDNN's order of expected speed, or with the fastest of those that
/// it tries. First, Second and Result are descriptors. Workspace: weights or their gradient in cuDNN's layout, then
/// cuDNN's own.
template <class T, class Pass, class First, class Second, class Result>
class CudnnPlan : public Conv2dPlan {
 public:
  CudnnPlan(const Conv2dDims& d, AlgorithmChoice choice, First first, Second second, Result result)
      : dims_(d),
        first_(std::move(first)),
        second_(std::move(second)),
        convolution_(convolution<T>(d)),
        result_(std::move(result)),
        weight_bytes_((kElementBytes<T> * cudnn_weights(d).elements() + 255) / 256 * 256) {
    choose_algorithm(choice);
  }

  [[nodiscard]] std::size_t workspace_bytes() const override { return weight_bytes_ + algorithm_bytes_; }
  void run(const void* a, const void* b, void* result, bool accumulate, std::byte* workspace,
           Stream stream) const override {
    std::byte* own = workspace + weight_bytes_;
    auto* weights = reinterpret_cast<T*>(workspace);
    if constexpr (Pass::kPass == Conv2dPass::backward_weight) {
      run_algorithm(b, a, weights, false, own, stream);
      add_weight_parts<T>(dims_, cudnn_weight_parts(dims_), weights, {{static_cast<float*>(result)}}, stream);
    } else {
      pack_weights(cudnn_weights(dims_), static_cast<const float*>(b), weights, stream);
      constexpr bool kForward = Pass::kPass == Conv2dPass::forward;
      run_algorithm(kForward ? a : weights, kForward ? weights : a, result, accumulate, own, stream);
    }
  }

 private:
  /// cuDNN tries algorithms with its default kind of product, too, which for f32 is TF32.
  static bool allows(cudnnMathType_t math) { return std::is_same_v<T, Bf16> || math == kMath<T>; }
  void choose_algorithm(AlgorithmChoice choice) {
    constexpr int kMostCandidates = 16;
    std::array<typename Pass::Performance, kMostCandidates> candidates{};
    int count = 0;
    const bool tried = choice == AlgorithmChoice::measured;
    const auto list = tried ? Pass::kTry : Pass::kCandidates;
    check_cudnn(list(cudnn(), first_.get(), second_.get(), convolution_.get(), result_.get(), kMostCandidates, &count,
                     candidates.data()),
                tried ? "try its algorithms for a convolution" : "list its algorithms for a convolution");
    for (int i = 0; i < count; ++i) {
      const auto& candidate = candidates[static_cast<std::size_t>(i)];
      if (candidate.status != CUDNN_STATUS_SUCCESS) continue;
      if (tried ? !allows(candidate.mathType) : candidate.determinism != CUDNN_DETERMINISTIC) continue;
      if (tried) set_math(convolution_, candidate.mathType);
      // Asked for once more: the list may assume another kind of product than the one that is set.
      const cudnnStatus_t status = Pass::kWorkspaceSize(cudnn(), first_.get(), second_.get(), convolution_.get(),
                                                        result_.get(), candidate.algo, &algorithm_bytes_);
      if (status != CUDNN_STATUS_SUCCESS || algorithm_bytes_ > kMostWorkspace) continue;
      algorithm_ = candidate.algo;
      return;
    }
    throw DeviceError(fmt::format("[cudnn] has no {}algorithm for a convolution of this model; set device.conv=own",
                                  tried ? "" : "deterministic "));
  }

  void run_algorithm(const void* first, const void* second, void* result, bool accumulate, void* workspace,
                     Stream stream) const {
    check_cudnn(cudnnSetStream(cudnn(), stream), "use a stream");
    const float one = 1, beta = accumulate ? 1.0f : 0.0f;
    check_cudnn(Pass::kRun(cudnn(), &one, first_.get(), first, second_.get(), second, convolution_.get(), algorithm_,
                           workspace, algorithm_bytes_, &beta, result_.get(), result),
                "compute a convolution");
  }

  Conv2dDims dims_;
  First first_;
  Second second_;
  Convolution convolution_;
  Result result_;
  std::size_t weight_bytes_, algorithm_bytes_ = 0;
  decltype(Pass::Performance::algo) algorithm_{};
};

}  // namespace

template <class T>
std::unique_ptr<Conv2dPlan> conv2d_cudnn_plan(Conv2dPass pass, const Conv2dDims& d, AlgorithmChoice choice) {
  const auto plan = [&]<class Pass>(Pass, auto first, auto second, auto result) -> std::unique_ptr<Conv2dPlan> {
    using Plan = CudnnPlan<T, Pass, decltype(first), decltype(second), decltype(result)>;
    return std::make_unique<Plan>(d, choice, std::move(first), std::move(second), std::move(result));
  };
  Tensor x = images<T>(d.n, d.h, d.w, d.ci), y = images<T>(d.n, d.ho(), d.wo(), d.co);
  if (pass == Conv2dPass::forward) return plan(Forward(), std::move(x), filter<T>(d), std::move(y));
  if (pass == Conv2dPass::backward_data) return plan(BackwardData(), filter<T>(d), std::move(y), std::move(x));
  return plan(BackwardWeight(), std::move(x), std::move(y), filter<T>(d));
}

template std::unique_ptr<Conv2dPlan> conv2d_cudnn_plan<float>(Conv2dPass, const Conv2dDims&, AlgorithmChoice);
template std::unique_ptr<Conv2dPlan> conv2d_cudnn_plan<Bf16>(Conv2dPass, const Conv2dDims&, AlgorithmChoice);

}  // namespace roap::cuda
