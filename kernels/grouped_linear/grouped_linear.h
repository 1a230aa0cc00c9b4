#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/host_device.h"

// Linear layers side by side, one per group (a group is a task): y[g, r, o] = f(sum_i x[g, r, i] w[g, o, i] + b[g, o]),
// where f is the identity or max(0, .). Groups may share x, so that each looks at the same rows, or w, so that they
// differ in b only: a one-hot code of the group beside x is such a layer, since all that it adds is a column of
// weights. Gradients, with dz = dy, or with ReLU dy where y > 0 and else 0:
//   dx[g] = dz[g] w[g];  dw[g] = dz[g]' x[g];  db[g] = column sums of dz[g];  of a shared x or w the sum over g.

namespace roap {

struct GroupedLinearParams {
  bool relu = false;
};

struct GroupedLinearDims {
  std::int64_t groups = 0, rows = 0, in = 0, out = 0;
  bool shared_x = false, shared_w = false;
  /// Elements from one group's x (w) to the next one's.
  [[nodiscard]] ROAP_HOST_DEVICE std::int64_t x_group() const { return shared_x ? 0 : rows * in; }
  [[nodiscard]] ROAP_HOST_DEVICE std::int64_t w_group() const { return shared_w ? 0 : out * in; }
};

struct GroupedLinearInputs {
  const float* dy;  ///< [groups, rows, out]
  const float* y;   ///< [groups, rows, out], or null without ReLU
  const float* x;   ///< [groups, rows, in], shared: [rows, in]
  const float* w;   ///< [groups, out, in], shared: [out, in]
};

struct GroupedLinearGradients {
  float* dx;  ///< like x; each may be null
  bool accumulate_dx;
  float* dw;  ///< like w
  float* db;  ///< [groups, out]
};

namespace cpu {

/// x [groups, rows, in] (shared: [rows, in]), w [groups, out, in] (shared: [out, in]), b [groups, out] or null ->
/// y [groups, rows, out].
void grouped_linear_forward(const GroupedLinearDims& d, const GroupedLinearParams& params, const float* x,
                            const float* w, const float* b, float* y);
std::size_t grouped_linear_backward_workspace(const GroupedLinearDims& d, const GroupedLinearParams& params);
void grouped_linear_backward(const GroupedLinearDims& d, const GroupedLinearInputs& in,
                             const GroupedLinearGradients& out, std::byte* workspace);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device.
void grouped_linear_forward(const GroupedLinearDims& d, const GroupedLinearParams& params, const float* x,
                            const float* w, const float* b, float* y, Stream stream);
std::size_t grouped_linear_backward_workspace(const GroupedLinearDims& d);
void grouped_linear_backward(const GroupedLinearDims& d, const GroupedLinearInputs& in,
                             const GroupedLinearGradients& out, std::byte* workspace, Stream stream);

}  // namespace cuda
}  // namespace roap
