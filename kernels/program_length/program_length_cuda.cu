#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/program_length/program_length.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kTasksPerBlock = kThreads / kWarpSize;

/// Scratch memory of one task, of each line (or inner node): its length, its arguments' lengths and its gradient. In
/// straight-line programs lane l alone writes and reads the lines l, l + 32, ...
struct Scratch {
  float *length, *left, *right, *gradient;
};

constexpr int kScratchArrays = 4;

ROAP_HOST_DEVICE int nodes_of(const StraightLineLayout& layout) { return layout.lines; }
ROAP_HOST_DEVICE int nodes_of(const TreeLayout& layout) { return layout.inner_nodes(); }

__device__ __forceinline__ Scratch scratch_of(float* workspace, std::int64_t task, std::int64_t nodes) {
  float* own = workspace + task * kScratchArrays * nodes;
  return {own, own + nodes, own + 2 * nodes, own + 3 * nodes};
}

__device__ __forceinline__ float operator_share(const float* o) { return o[0] + o[1] + o[2]; }

__device__ __forceinline__ float node_length(const float* o, float left, float right) {
  return operator_share(o) * (1 + left + right) + o[3] * left;
}

__device__ __forceinline__ void put(float& target, float value, bool add) { target = add ? target + value : value; }

__device__ __forceinline__ void put_operator_gradient(float* target, float g, float left, float right, bool add) {
  for (int k = 0; k < 3; ++k) put(target[k], g * (1 + left + right), add);
  put(target[3], g * left, add);
}

/// Length of the program; called by all lanes, of which each adds up every 32nd choice of a line.
__device__ __forceinline__ float run_program(const StraightLineLayout& layout, const float* z, const Scratch& s,
                                             int lane) {
  float length = 0;
  for (int line = 0; line < layout.lines; ++line) {
    const float* left_weights = z + layout.left(line) + layout.symbols;
    const float* right_weights = z + layout.right(line) + layout.symbols;
    float left = 0, right = 0;
    for (int i = lane; i < line; i += kWarpSize) {
      left += left_weights[i] * s.length[i];
      right += right_weights[i] * s.length[i];
    }
    left = warp_sum(left);
    right = warp_sum(right);
    length = node_length(z + layout.operators(line), left, right);
    if (lane == line % kWarpSize) {
      s.length[line] = length;
      s.left[line] = left;
      s.right[line] = right;
    }
  }
  return length;
}

/// Length of the tree, level by level from below; a lane owns every 32nd node of a level.
__device__ __forceinline__ float run_program(const TreeLayout& layout, const float* z, const Scratch& s, int lane) {
  const int inner = layout.inner_nodes();
  for (int count = layout.leaf_nodes() / 2; count > 0; count /= 2) {
    for (int node = count - 1 + lane; node < 2 * count - 1; node += kWarpSize) {
      const int child = 2 * node + 1;
      s.left[node] = child < inner ? s.length[child] : 0.0f;
      s.right[node] = child < inner ? s.length[child + 1] : 0.0f;
      s.length[node] = node_length(z + layout.operators(node), s.left[node], s.right[node]);
    }
    __syncwarp();
  }
  return s.length[0];
}

/// Gradient of one argument's weights and of the earlier lines' lengths; `d` is the gradient of the argument's length.
__device__ __forceinline__ void backward_argument(int symbols, int line, float d, const float* weights, float* dweights,
                                                  bool accumulate, const Scratch& s, int lane) {
  for (int j = lane; j < symbols && !accumulate; j += kWarpSize) dweights[j] = 0;
  for (int i = lane; i < line; i += kWarpSize) {
    put(dweights[symbols + i], d * s.length[i], accumulate);
    s.gradient[i] += d * weights[symbols + i];
  }
}

__device__ __forceinline__ void backward_program(const StraightLineLayout& layout, float dlength, const float* z,
                                                 float* dz, bool accumulate, const Scratch& s, int lane) {
  for (int i = lane; i < layout.lines; i += kWarpSize) s.gradient[i] = i == layout.lines - 1 ? dlength : 0.0f;
  for (int line = layout.lines - 1; line >= 0; --line) {
    const float* o = z + layout.operators(line);
    const int owner = line % kWarpSize;
    const float g = __shfl_sync(kAllLanes, lane == owner ? s.gradient[line] : 0.0f, owner);
    if (lane == owner) {
      put_operator_gradient(dz + layout.operators(line), g, s.left[line], s.right[line], accumulate);
    }
    const std::int64_t left = layout.left(line), right = layout.right(line);
    backward_argument(layout.symbols, line, g * (operator_share(o) + o[3]), z + left, dz + left, accumulate, s, lane);
    backward_argument(layout.symbols, line, g * operator_share(o), z + right, dz + right, accumulate, s, lane);
  }
}

__device__ __forceinline__ void backward_program(const TreeLayout& layout, float dlength, const float* z, float* dz,
                                                 bool accumulate, const Scratch& s, int lane) {
  const int inner = layout.inner_nodes();
  if (lane == 0) s.gradient[0] = dlength;
  for (int count = 1; count < layout.leaf_nodes(); count *= 2) {
    __syncwarp();
    for (int node = count - 1 + lane; node < 2 * count - 1; node += kWarpSize) {
      const float* o = z + layout.operators(node);
      const float g = s.gradient[node];
      put_operator_gradient(dz + layout.operators(node), g, s.left[node], s.right[node], accumulate);
      if (2 * node + 2 >= inner) continue;
      s.gradient[2 * node + 1] = g * (operator_share(o) + o[3]);
      s.gradient[2 * node + 2] = g * operator_share(o);
    }
  }
  for (std::int64_t i = layout.leaf(0) + lane; i < layout.count() && !accumulate; i += kWarpSize) dz[i] = 0;
}

/// Computes  length of every task (program_length.h)
/// Shapes    z [T, P], length [T], workspace [T, 4, lines or inner nodes]
/// Mapping   a warp owns a task
/// Memory    z once; scratch in the cache. Bound by the latency of line after line
/// Numerics  f32; choices of a lane in order, lanes in a fixed tree
/// Limits    none
template <class Layout>
__global__ void __launch_bounds__(kThreads)
    program_length_forward_kernel(Layout layout, std::int64_t tasks, const float* z, float* length, float* workspace) {
  const std::int64_t task = static_cast<std::int64_t>(blockIdx.x) * kTasksPerBlock + uniform_warp();
  if (task >= tasks) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const float total =
      run_program(layout, z + task * layout.count(), scratch_of(workspace, task, nodes_of(layout)), lane);
  if (lane == 0) length[task] = total;
}

/// Computes  dz of every task (program_length.h)
/// Shapes    dlength [T], z and dz [T, P], workspace [T, 4, lines or inner nodes]
/// Mapping   a warp owns a task, runs it again and sweeps back
/// Memory    z and dz once; scratch in the cache. Bound by the latency of line after line
/// Numerics  as forward
/// Limits    none
template <class Layout>
__global__ void __launch_bounds__(kThreads)
    program_length_backward_kernel(Layout layout, std::int64_t tasks, const float* dlength, const float* z, float* dz,
                                   bool accumulate, float* workspace) {
  const std::int64_t task = static_cast<std::int64_t>(blockIdx.x) * kTasksPerBlock + uniform_warp();
  if (task >= tasks) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const std::int64_t row = task * layout.count();
  const Scratch scratch = scratch_of(workspace, task, nodes_of(layout));
  run_program(layout, z + row, scratch, lane);
  backward_program(layout, dlength[task], z + row, dz + row, accumulate, scratch, lane);
}

LaunchShape shape_of(std::int64_t tasks) { return {.grid = blocks_for(tasks, kTasksPerBlock), .block = kThreads}; }

std::size_t workspace_bytes(std::int64_t tasks, std::int64_t nodes) {
  return sizeof(float) * static_cast<std::size_t>(tasks * kScratchArrays * nodes);
}

template <class Layout>
void forward(const Layout& layout, std::int64_t tasks, const float* z, float* length, float* workspace, Stream stream) {
  launch("program_length_forward", shape_of(tasks), stream, program_length_forward_kernel<Layout>, layout, tasks, z,
         length, workspace);
}

template <class Layout>
void backward(const Layout& layout, std::int64_t tasks, const float* dlength, const float* z, float* dz,
              bool accumulate, float* workspace, Stream stream) {
  launch("program_length_backward", shape_of(tasks), stream, program_length_backward_kernel<Layout>, layout, tasks,
         dlength, z, dz, accumulate, workspace);
}

}  // namespace

std::size_t program_length_workspace(const StraightLineLayout& layout, std::int64_t tasks) {
  return workspace_bytes(tasks, nodes_of(layout));
}

std::size_t program_length_workspace(const TreeLayout& layout, std::int64_t tasks) {
  return workspace_bytes(tasks, nodes_of(layout));
}

void program_length_forward(const StraightLineLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace, Stream stream) {
  forward(layout, tasks, z, length, workspace, stream);
}

void program_length_forward(const TreeLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace, Stream stream) {
  forward(layout, tasks, z, length, workspace, stream);
}

void program_length_backward(const StraightLineLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace, Stream stream) {
  backward(layout, tasks, dlength, z, dz, accumulate, workspace, stream);
}

void program_length_backward(const TreeLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace, Stream stream) {
  backward(layout, tasks, dlength, z, dz, accumulate, workspace, stream);
}

}  // namespace roap::cuda
