#include <algorithm>

#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/point_max/point_max.h"

namespace roap::cuda {

namespace {

constexpr int kColumns = 32, kLanes = 8;  // channels of a block, points that are compared side by side
constexpr int kThreads = kColumns * kLanes;

/// Computes  y[n, k] = max over p of x[n, p, k] and where it is
/// Shapes    x [sets, points, channels], y, index [sets, channels]; any sizes
/// Mapping   a block owns 32 channels of a set; a thread compares every eighth point of one of them
/// Memory    x is read once, coalesced over channels: bound by bandwidth
/// Numerics  exact; the lowest point wins a tie. As in the definition, a NaN wins only at point 0
/// Limits    points below 2^31
__global__ void __launch_bounds__(kThreads)
    point_max_forward_kernel(PointMaxDims d, const float* x, float* y, std::int32_t* index) {
  ROAP_SHARED(best_of_lane, float[kLanes][kColumns]);
  ROAP_SHARED(point_of_lane, std::int32_t[kLanes][kColumns]);
  const int column = static_cast<int>(threadIdx.x) % kColumns, lane = static_cast<int>(threadIdx.x) / kColumns;
  const std::int64_t set = blockIdx.x;
  const std::int64_t channel = static_cast<std::int64_t>(blockIdx.y) * kColumns + column;
  const bool inside = channel < d.channels;
  const float* values = x + set * d.points * d.channels + channel;
  const auto value = [&](std::int64_t point) { return inside ? values[point * d.channels] : 0.0f; };
  float best = value(0);  // every lane starts from point 0, which decides about NaN
  std::int32_t winner = 0;
#pragma unroll 4
  for (std::int64_t point = lane; point < d.points; point += kLanes) {
    const float candidate = value(point);
    if (!(candidate > best)) continue;
    best = candidate;
    winner = static_cast<std::int32_t>(point);
  }
  best_of_lane[lane][column] = best;
  point_of_lane[lane][column] = winner;
  __syncthreads();
  if (lane > 0 || !inside) return;
  for (int other = 1; other < kLanes; ++other) {
    const float candidate = best_of_lane[other][column];
    const std::int32_t point = point_of_lane[other][column];
    if (!(candidate > best) && !(candidate == best && point < winner)) continue;
    best = candidate;
    winner = point;
  }
  y[set * d.channels + channel] = best;
  index[set * d.channels + channel] = winner;
}

/// Computes  dx[n, p, k] (+)= dy[n, k] where p = index[n, k], zero elsewhere
/// Shapes    dy, index [sets, channels], dx [sets, points, channels]; any sizes
/// Mapping   a thread owns an element of dx (blocks stride over them), or of dy when dx accumulates
/// Memory    dx is written once, coalesced; dy and index come from L2. When it accumulates only winners are touched
/// Numerics  exact
__global__ void __launch_bounds__(kThreads)
    point_max_backward_kernel(PointMaxDims d, const float* dy, const std::int32_t* index, float* dx, bool accumulate) {
  const std::int64_t count = d.sets * d.channels * (accumulate ? 1 : d.points);
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    const std::int64_t channel = i % d.channels;
    if (accumulate) {
      dx[(i / d.channels * d.points + index[i]) * d.channels + channel] += dy[i];
    } else {
      const std::int64_t point = i / d.channels % d.points;
      const std::int64_t at = i / d.channels / d.points * d.channels + channel;
      dx[i] = index[at] == point ? dy[at] : 0.0f;
    }
  }
}

}  // namespace

void point_max_forward(const PointMaxDims& d, const float* x, float* y, std::int32_t* index, Stream stream) {
  const auto blocks = static_cast<unsigned>((d.channels + kColumns - 1) / kColumns);
  launch("point_max_forward", {.grid = {static_cast<unsigned>(d.sets), blocks}, .block = kThreads}, stream,
         point_max_forward_kernel, d, x, y, index);
}

void point_max_backward(const PointMaxDims& d, const float* dy, const std::int32_t* index, float* dx, bool accumulate,
                        Stream stream) {
  constexpr std::int64_t kMostBlocks = 4096;
  const std::int64_t count = d.sets * d.channels * (accumulate ? 1 : d.points);
  const auto blocks = static_cast<unsigned>(std::min(kMostBlocks, (count + kThreads - 1) / kThreads));
  launch("point_max_backward", {.grid = blocks, .block = kThreads}, stream, point_max_backward_kernel, d, dy, index, dx,
         accumulate);
}

}  // namespace roap::cuda
