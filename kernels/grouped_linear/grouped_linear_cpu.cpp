#include <algorithm>
#include <array>
#include <dnnl.hpp>

#include "kernels/common/one_thread.h"
#include "kernels/common/parallel.h"
#include "kernels/common/workspace.h"
#include "kernels/grouped_linear/grouped_linear.h"

// Products through oneDNN's sgemm, one group and one fixed block of rows (or of output features) per piece. What groups
// share gets one partial gradient per group, added in the order of the groups.

namespace roap::cpu {

namespace {

constexpr std::int64_t kRowGrain = 64;
constexpr std::int64_t kFeatureGrain = 64;
constexpr std::int64_t kElementGrain = 4096;

/// Calls piece(group, begin, end) for blocks of `grain` of `count` items of every group, in parallel.
template <class Piece>
void parallel_groups(std::int64_t groups, std::int64_t count, std::int64_t grain, const Piece& piece) {
  const std::int64_t blocks = pieces_of(count, grain);
  parallel_for(groups * blocks, [&](std::int64_t p) {
    const std::int64_t begin = p % blocks * grain;
    piece(p / blocks, begin, std::min(count, begin + grain));
  });
}

struct Workspace {
  float *dz, *dx, *dw;  ///< dy after the ReLU's mask; partial gradients of every group
  std::size_t bytes;
  Workspace(const GroupedLinearDims& d, bool relu, std::byte* base) {
    WorkspaceCutter cutter(base);
    dz = cutter.take<float>(relu ? d.groups * d.rows * d.out : 0);
    dx = cutter.take<float>(d.shared_x ? d.groups * d.rows * d.in : 0);
    dw = cutter.take<float>(d.shared_w ? d.groups * d.out * d.in : 0);
    bytes = cutter.bytes();
  }
};

/// parts [groups, count] -> sum [count], added to it when `accumulate`.
void sum_groups(std::int64_t groups, std::int64_t count, const float* parts, float* sum, bool accumulate) {
  parallel_ranges(count, kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    if (!accumulate) std::fill(sum + begin, sum + end, 0.0f);
    for (std::int64_t g = 0; g < groups; ++g) {
      for (std::int64_t i = begin; i < end; ++i) sum[i] += parts[g * count + i];
    }
  });
}

void backward_data(const GroupedLinearDims& d, const float* dz, const float* w, float* dx, bool accumulate) {
  parallel_groups(d.groups, d.rows, kRowGrain, [&](std::int64_t g, std::int64_t begin, std::int64_t end) {
    const OneThread one_thread;
    const std::int64_t row = g * d.rows + begin;
    dnnl::sgemm('N', 'N', end - begin, d.in, d.out, 1.0f, dz + row * d.out, d.out, w + g * d.w_group(), d.in,
                accumulate ? 1.0f : 0.0f, dx + row * d.in, d.in);
  });
}

void backward_weight(const GroupedLinearDims& d, const float* dz, const float* x, float* dw) {
  parallel_groups(d.groups, d.out, kFeatureGrain, [&](std::int64_t g, std::int64_t begin, std::int64_t end) {
    const OneThread one_thread;
    dnnl::sgemm('T', 'N', end - begin, d.in, d.rows, 1.0f, dz + g * d.rows * d.out + begin, d.out, x + g * d.x_group(),
                d.in, 0.0f, dw + (g * d.out + begin) * d.in, d.in);
  });
}

void backward_bias(const GroupedLinearDims& d, const float* dz, float* db) {
  parallel_groups(d.groups, d.out, kFeatureGrain, [&](std::int64_t g, std::int64_t begin, std::int64_t end) {
    std::array<double, kFeatureGrain> sums{};  // of as many rows as all pairs of all tasks
    for (std::int64_t r = 0; r < d.rows; ++r) {
      const float* row = dz + (g * d.rows + r) * d.out;
      for (std::int64_t o = begin; o < end; ++o) sums[static_cast<std::size_t>(o - begin)] += row[o];
    }
    std::transform(sums.begin(), sums.begin() + (end - begin), db + g * d.out + begin,
                   [](double sum) { return static_cast<float>(sum); });
  });
}

}  // namespace

void grouped_linear_forward(const GroupedLinearDims& d, const GroupedLinearParams& params, const float* x,
                            const float* w, const float* b, float* y) {
  parallel_groups(d.groups, d.rows, kRowGrain, [&](std::int64_t g, std::int64_t begin, std::int64_t end) {
    const OneThread one_thread;
    float* first = y + (g * d.rows + begin) * d.out;
    float* last = first + (end - begin) * d.out;
    for (float* row = first; b != nullptr && row < last; row += d.out) std::copy_n(b + g * d.out, d.out, row);
    dnnl::sgemm('N', 'T', end - begin, d.out, d.in, 1.0f, x + g * d.x_group() + begin * d.in, d.in, w + g * d.w_group(),
                d.in, b != nullptr ? 1.0f : 0.0f, first, d.out);
    // A comparison that lets NaN through: it must reach the loss, where it is noticed.
    if (params.relu) std::transform(first, last, first, [](float v) { return v < 0 ? 0.0f : v; });
  });
}

std::size_t grouped_linear_backward_workspace(const GroupedLinearDims& d, const GroupedLinearParams& params) {
  return Workspace(d, params.relu, nullptr).bytes;
}

void grouped_linear_backward(const GroupedLinearDims& d, const GroupedLinearInputs& in,
                             const GroupedLinearGradients& out, std::byte* workspace) {
  const Workspace part(d, in.y != nullptr, workspace);
  const float* dz = in.dy;
  if (in.y != nullptr) {
    parallel_ranges(d.groups * d.rows * d.out, kElementGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) part.dz[i] = in.y[i] > 0 ? in.dy[i] : 0.0f;
    });
    dz = part.dz;
  }
  if (out.dx != nullptr) {
    backward_data(d, dz, in.w, d.shared_x ? part.dx : out.dx, out.accumulate_dx && !d.shared_x);
    if (d.shared_x) sum_groups(d.groups, d.rows * d.in, part.dx, out.dx, out.accumulate_dx);
  }
  if (out.dw != nullptr) {
    backward_weight(d, dz, in.x, d.shared_w ? part.dw : out.dw);
    if (d.shared_w) sum_groups(d.groups, d.out * d.in, part.dw, out.dw, false);
  }
  if (out.db != nullptr) backward_bias(d, dz, out.db);
}

}  // namespace roap::cpu
