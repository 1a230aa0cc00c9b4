#include "kernels/common/parallel.h"
#include "kernels/program_length/program_length.h"

// Computes: expected program length and its gradient. Mapping: a piece owns kTaskGrain tasks. Memory: reads z, backward
// runs the recursion again. Numerics: f32, sums in the order of the row.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTaskGrain = 16;

/// Scratch of one task: per line (or node) its length, its arguments' lengths and its gradient.
struct LengthScratch {
  float* length;
  float* left;
  float* right;
  float* gradient;
};

constexpr int kScratchArrays = 4;

LengthScratch scratch_of(float* workspace, std::int64_t piece, int lines) {
  float* own = workspace + piece * kScratchArrays * lines;
  return {own, own + lines, own + 2 * lines, own + 3 * lines};
}

std::size_t workspace_bytes(std::int64_t tasks, int lines) {
  return sizeof(float) * static_cast<std::size_t>(pieces_of(tasks, kTaskGrain) * kScratchArrays * lines);
}

float operator_share(const float* o) { return o[0] + o[1] + o[2]; }

float line_length(const float* o, float left, float right) {
  return operator_share(o) * (1 + left + right) + o[3] * left;
}

float dot(const float* a, const float* b, int count) {
  float sum = 0;
  for (int i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void put(float& target, float value, bool add) { target = add ? target + value : value; }

void put_operator_gradient(float* target, float g, float left, float right, bool add) {
  for (int k = 0; k < 3; ++k) put(target[k], g * (1 + left + right), add);
  put(target[3], g * left, add);
}

void run_lines(const StraightLineLayout& layout, const float* z, const LengthScratch& s) {
  for (int line = 0; line < layout.lines; ++line) {
    s.left[line] = dot(z + layout.left(line) + layout.symbols, s.length, line);
    s.right[line] = dot(z + layout.right(line) + layout.symbols, s.length, line);
    s.length[line] = line_length(z + layout.operators(line), s.left[line], s.right[line]);
  }
}

/// Gradient of one argument's weights and of the earlier lines' lengths; `d` is the gradient of the argument's length.
void backward_argument(int symbols, int line, float d, const float* weights, float* dweights, bool accumulate,
                       const LengthScratch& s) {
  for (int j = 0; j < symbols && !accumulate; ++j) dweights[j] = 0;
  for (int i = 0; i < line; ++i) {
    put(dweights[symbols + i], d * s.length[i], accumulate);
    s.gradient[i] += d * weights[symbols + i];
  }
}

void backward_lines(const StraightLineLayout& layout, float dlength, const float* z, float* dz, bool accumulate,
                    const LengthScratch& s) {
  std::fill_n(s.gradient, layout.lines, 0.0f);
  s.gradient[layout.lines - 1] = dlength;
  for (int line = layout.lines - 1; line >= 0; --line) {
    const float* o = z + layout.operators(line);
    const float g = s.gradient[line];
    put_operator_gradient(dz + layout.operators(line), g, s.left[line], s.right[line], accumulate);
    const std::int64_t left = layout.left(line), right = layout.right(line);
    backward_argument(layout.symbols, line, g * (operator_share(o) + o[3]), z + left, dz + left, accumulate, s);
    backward_argument(layout.symbols, line, g * operator_share(o), z + right, dz + right, accumulate, s);
  }
}

void run_nodes(const TreeLayout& layout, const float* z, const LengthScratch& s) {
  const int inner = layout.inner_nodes();
  for (int node = inner - 1; node >= 0; --node) {
    const int left = 2 * node + 1, right = left + 1;
    s.left[node] = left < inner ? s.length[left] : 0.0f;
    s.right[node] = right < inner ? s.length[right] : 0.0f;
    s.length[node] = line_length(z + layout.operators(node), s.left[node], s.right[node]);
  }
}

void backward_nodes(const TreeLayout& layout, float dlength, const float* z, float* dz, bool accumulate,
                    const LengthScratch& s) {
  const int inner = layout.inner_nodes();
  s.gradient[0] = dlength;
  for (int node = 0; node < inner; ++node) {
    const float* o = z + layout.operators(node);
    const float g = s.gradient[node];
    put_operator_gradient(dz + layout.operators(node), g, s.left[node], s.right[node], accumulate);
    if (2 * node + 2 < inner) {
      s.gradient[2 * node + 1] = g * (operator_share(o) + o[3]);
      s.gradient[2 * node + 2] = g * operator_share(o);
    }
  }
  if (!accumulate) std::fill(dz + layout.leaf(0), dz + layout.count(), 0.0f);
}

}  // namespace

std::size_t program_length_workspace(const StraightLineLayout& layout, std::int64_t tasks) {
  return workspace_bytes(tasks, layout.lines);
}

std::size_t program_length_workspace(const TreeLayout& layout, std::int64_t tasks) {
  return workspace_bytes(tasks, layout.inner_nodes());
}

void program_length_forward(const StraightLineLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace) {
  parallel_ranges(tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const LengthScratch s = scratch_of(workspace, begin / kTaskGrain, layout.lines);
    for (std::int64_t t = begin; t < end; ++t) {
      run_lines(layout, z + t * layout.count(), s);
      length[t] = s.length[layout.lines - 1];
    }
  });
}

void program_length_forward(const TreeLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace) {
  parallel_ranges(tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const LengthScratch s = scratch_of(workspace, begin / kTaskGrain, layout.inner_nodes());
    for (std::int64_t t = begin; t < end; ++t) {
      run_nodes(layout, z + t * layout.count(), s);
      length[t] = s.length[0];
    }
  });
}

void program_length_backward(const StraightLineLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace) {
  parallel_ranges(tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const LengthScratch s = scratch_of(workspace, begin / kTaskGrain, layout.lines);
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t row = t * layout.count();
      run_lines(layout, z + row, s);
      backward_lines(layout, dlength[t], z + row, dz + row, accumulate, s);
    }
  });
}

void program_length_backward(const TreeLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace) {
  parallel_ranges(tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const LengthScratch s = scratch_of(workspace, begin / kTaskGrain, layout.inner_nodes());
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t row = t * layout.count();
      run_nodes(layout, z + row, s);
      backward_nodes(layout, dlength[t], z + row, dz + row, accumulate, s);
    }
  });
}

}  // namespace roap::cpu
