#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/common/cuda_types.h"
#include "kernels/common/tap_window.h"

// 2-D convolution without bias (cross-correlation), images NHWC, weights OHWI:
//   y[n, oy, ox, o] = sum over i, ky, kx of x[n, oy s + ky - p, ox s + kx - p, i] w[o, ky, kx, i],  zero outside the
//   image.
// Gradients: dx and dw are the adjoints of this linear map. Taps that only ever meet padding are dead: their gradient
// is zero, and w may leave them out.

namespace roap {

/// The user's choices: one stride and one zero padding for both axes.
struct Conv2dParams {
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t live_of = 0;  ///< side of the square kernel of which w holds the live taps alone; 0: w is the kernel
};

/// Sizes; padding < kernel, so that every output position meets the image.
struct Conv2dDims {
  std::int64_t n = 0, h = 0, w = 0, ci = 0, co = 0, kh = 0, kw = 0;
  std::int64_t stride = 1, padding = 0;
  bool live_taps_only = false;  ///< whether w and dw hold the live taps alone
  [[nodiscard]] std::int64_t ho() const { return (h + 2 * padding - kh) / stride + 1; }
  [[nodiscard]] std::int64_t wo() const { return (w + 2 * padding - kw) / stride + 1; }
  [[nodiscard]] std::int64_t output_rows() const { return n * ho() * wo(); }  ///< of y [output_rows, co]
  bool operator==(const Conv2dDims&) const = default;
};

/// One spatial axis with the kernel cut to its live taps: the range of taps that ever meet a non-padding input. On a
/// map of one pixel a 3-tap kernel with padding 1 has one live tap. Dead taps multiply zeros only, and their gradient
/// is zero.
struct Conv2dAxis {
  std::int64_t in = 0, out = 0, stride = 1;
  std::int64_t first_tap = 0;  ///< the first live tap of the whole kernel
  std::int64_t taps = 0;       ///< number of live taps
  std::int64_t padding = 0;    ///< zeros before the input, seen from the first live tap
  /// Input position of live tap t at output o; outside [0, in) it is padding.
  [[nodiscard]] std::int64_t input(std::int64_t o, std::int64_t t) const { return o * stride + t - padding; }
  [[nodiscard]] bool valid(std::int64_t o, std::int64_t t) const { return input(o, t) >= 0 && input(o, t) < in; }
  /// Number of pairs (output, live tap) that meet a non-padding input.
  [[nodiscard]] std::int64_t useful_pairs() const;
};

Conv2dAxis live_taps(std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t padding);
inline Conv2dAxis vertical_axis(const Conv2dDims& d) { return live_taps(d.h, d.kh, d.stride, d.padding); }
inline Conv2dAxis horizontal_axis(const Conv2dDims& d) { return live_taps(d.w, d.kw, d.stride, d.padding); }

/// The live taps among those of the kernel.
TapWindow live_window(const Conv2dDims& d);
/// The taps of the kernel that w and dw hold: all, or the live ones.
TapWindow stored_window(const Conv2dDims& d);
/// The live taps among those that w and dw hold.
TapWindow live_in_stored(const Conv2dDims& d);
/// Elements of w and dw [co, rows, columns, ci].
inline std::int64_t weight_count(const Conv2dDims& d) { return d.co * stored_window(d).count() * d.ci; }

enum class Conv2dPass { forward, backward_data, backward_weight };

/// Convolutions of the same sizes whose weight gradients are computed together, at most: as many as ResNet-18 has.
inline constexpr int kMostConv2dMembers = 4;

namespace cpu {

/// One pass of one convolution, prepared for its sizes (oneDNN primitives, chunks of the batch). Not for concurrent
/// runs.
class Conv2dPlan {
 public:
  Conv2dPlan() = default;
  Conv2dPlan(const Conv2dPlan&) = delete;
  Conv2dPlan& operator=(const Conv2dPlan&) = delete;
  virtual ~Conv2dPlan() = default;
  [[nodiscard]] virtual std::size_t workspace_bytes() const = 0;
  /// forward:         a = x [n, h, w, ci],    b = w                -> result = y [n, ho, wo, co]
  /// backward_data:   a = dy [n, ho, wo, co], b = w                -> result = dx, added where `accumulate`
  /// backward_weight: a = dy [n, ho, wo, co], b = x [n, h, w, ci]  -> result = dw
  /// w and dw are [co, rows, columns, ci] of stored_window.
  /// `workspace`: 64-byte aligned memory of workspace_bytes().
  virtual void run(const float* a, const float* b, float* result, bool accumulate, std::byte* workspace) = 0;
};

/// The plan that suits the sizes best.
std::unique_ptr<Conv2dPlan> conv2d_plan(Conv2dPass pass, const Conv2dDims& dims);
/// oneDNN's convolution on fixed chunks of the batch.
std::unique_ptr<Conv2dPlan> conv2d_chunked_plan(Conv2dPass pass, const Conv2dDims& dims);
/// Matrix products over the batch, one per output position and live tap: no work on padding, good for tiny maps.
std::unique_ptr<Conv2dPlan> conv2d_positions_plan(Conv2dPass pass, const Conv2dDims& dims);

}  // namespace cpu

namespace cuda {

/// dy [n, ho, wo, co], x [n, h, w, ci] -> dw, of one of several convolutions of the same sizes.
struct Conv2dMember {
  const void *dy, *x;
  float* dw;
};

/// As in cpu, on the device. a, b and result are as there, but x, y and their gradients are stored as T: float
/// (products and sums in f32) or Bf16 (products of bf16 on tensor cores, weights rounded to bf16, sums in f32); w and
/// dw are float.
class Conv2dPlan {
 public:
  Conv2dPlan() = default;
  Conv2dPlan(const Conv2dPlan&) = delete;
  Conv2dPlan& operator=(const Conv2dPlan&) = delete;
  virtual ~Conv2dPlan() = default;
  [[nodiscard]] virtual std::size_t workspace_bytes() const = 0;
  /// `workspace`: device memory of workspace_bytes(), aligned to 256 bytes.
  virtual void run(const void* a, const void* b, void* result, bool accumulate, std::byte* workspace,
                   Stream stream) const = 0;
  /// Backward weight of several convolutions, one after the other where a plan has no better way.
  virtual void run_members(std::span<const Conv2dMember> members, std::byte* workspace, Stream stream) const {
    for (const auto& [dy, x, dw] : members) run(dy, x, dw, false, workspace, stream);
  }
};

/// A forward pass that finds the moments of y, as it is stored, on the way.
class Conv2dMomentsPlan : public Conv2dPlan {
 public:
  /// x, w -> y as run does; mean [co] and (biased) variance [co] of y.
  virtual void run_with_moments(const void* x, const void* w, void* y, float* mean, float* variance,
                                std::byte* workspace, Stream stream) const = 0;
};
/// The plan that suits the sizes best, for storage in Bf16.
std::unique_ptr<Conv2dMomentsPlan> conv2d_moments_plan(const Conv2dDims& dims);

/// The plan that suits the sizes best; for backward weight, of so many members, at most kMostConv2dMembers.
template <class T>
std::unique_ptr<Conv2dPlan> conv2d_plan(Conv2dPass pass, const Conv2dDims& dims, int members);
template <>
std::unique_ptr<Conv2dPlan> conv2d_plan<float>(Conv2dPass pass, const Conv2dDims& dims, int members);
template <>
std::unique_ptr<Conv2dPlan> conv2d_plan<Bf16>(Conv2dPass pass, const Conv2dDims& dims, int members);

}  // namespace cuda
}  // namespace roap
