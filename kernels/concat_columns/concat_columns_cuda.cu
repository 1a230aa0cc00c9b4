#include "kernels/common/launch.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/concat_columns/concat_columns.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kMaxParts = 8;  ///< of one launch

/// A run of neighbouring matrices as a kernel takes them, columns counted in accesses.
template <class T>
struct Parts {
  T* x[kMaxParts];
  int columns[kMaxParts];
  bool accumulate[kMaxParts];
  int count;
  int all_columns;   ///< of this run
  int first_column;  ///< of this run in y
  int row_size;      ///< columns of y
};

/// The part that column c of a run belongs to; c becomes the column in it.
template <class T>
__device__ __forceinline__ int part_of(const Parts<T>& parts, int& c) {
  int k = 0;
  while (c >= parts.columns[k]) c -= parts.columns[k++];
  return k;
}

/// Computes  y[r, :] = [x_0[r, :], x_1[r, :], ...] for a run of the matrices
/// Shapes    x_i [rows, columns_i], y [rows, all columns], in accesses of type T
/// Mapping   a thread owns an access of y
/// Memory    all once, coalesced
/// Numerics  copies
/// Limits    8 matrices, fewer than 2^31 accesses
template <class T>
__global__ void __launch_bounds__(kThreads)
    concat_columns_forward_kernel(int rows, const __grid_constant__ Parts<const T> parts, T* y) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= rows * parts.all_columns) return;
  const std::int64_t r = i / parts.all_columns;
  int c = i % parts.all_columns;
  T* target = y + r * parts.row_size + parts.first_column + c;
  const int k = part_of(parts, c);
  *target = parts.x[k][r * parts.columns[k] + c];
}

__device__ __forceinline__ float add(float a, float b) { return a + b; }
__device__ __forceinline__ float4 add(float4 a, float4 b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }

/// Computes  dx_i[r, c] (+)= dy[r, first column of i + c] for a run of the matrices
/// Shapes    dy [rows, all columns], dx_i [rows, columns_i] or null, in accesses of type T
/// Mapping   a thread owns an access of dy
/// Memory    all once, coalesced
/// Numerics  copies, or one f32 addition
/// Limits    8 matrices, fewer than 2^31 accesses
template <class T>
__global__ void __launch_bounds__(kThreads)
    concat_columns_backward_kernel(int rows, const __grid_constant__ Parts<T> parts, const T* dy) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= rows * parts.all_columns) return;
  const std::int64_t r = i / parts.all_columns;
  int c = i % parts.all_columns;
  const T* source = dy + r * parts.row_size + parts.first_column + c;
  const int k = part_of(parts, c);
  if (parts.x[k] == nullptr) return;
  T& target = parts.x[k][r * parts.columns[k] + c];
  target = parts.accumulate[k] ? add(target, *source) : *source;
}

/// Calls launch_run(run) for runs of at most kMaxParts parts, in accesses of float4 where all rows are whole aligned
/// vectors. Number is float or const float.
template <class Number, class LaunchRun>
void for_each_run(std::span<const ColumnPart<Number>> parts, const float* y, LaunchRun&& launch_run) {
  int row_size = 0;
  bool vectors = can_use_vectors(0, y);
  for (const ColumnPart<Number>& part : parts) {
    row_size += static_cast<int>(part.columns);
    vectors = vectors && can_use_vectors(part.columns, part.x);
  }
  const auto runs = [&]<class T>(T* /*access*/) {
    constexpr int kWidth = sizeof(T) / sizeof(float);
    int first_column = 0;
    for (std::size_t begin = 0; begin < parts.size(); begin += kMaxParts) {
      Parts<T> run{{}, {}, {}, 0, 0, first_column, row_size / kWidth};
      for (const ColumnPart<Number>& part :
           parts.subspan(begin, std::min<std::size_t>(kMaxParts, parts.size() - begin))) {
        run.x[run.count] = reinterpret_cast<T*>(part.x);
        run.columns[run.count] = static_cast<int>(part.columns) / kWidth;
        run.accumulate[run.count] = part.accumulate;
        run.all_columns += run.columns[run.count];
        ++run.count;
      }
      first_column += run.all_columns;
      launch_run(run);
    }
  };
  using Vector = std::conditional_t<std::is_const_v<Number>, const float4, float4>;
  vectors ? runs(static_cast<Vector*>(nullptr)) : runs(static_cast<Number*>(nullptr));
}

}  // namespace

void concat_columns_forward(std::int64_t rows, std::span<const ColumnPart<const float>> parts, float* y,
                            Stream stream) {
  for_each_run(parts, y, [&]<class T>(const Parts<const T>& run) {
    launch("concat_columns_forward", {.grid = blocks_for(rows * run.all_columns, kThreads), .block = kThreads}, stream,
           concat_columns_forward_kernel<T>, static_cast<int>(rows), run, reinterpret_cast<T*>(y));
  });
}

void concat_columns_backward(std::int64_t rows, std::span<const ColumnPart<float>> gradients, const float* dy,
                             Stream stream) {
  for_each_run(gradients, dy, [&]<class T>(const Parts<T>& run) {
    launch("concat_columns_backward", {.grid = blocks_for(rows * run.all_columns, kThreads), .block = kThreads}, stream,
           concat_columns_backward_kernel<T>, static_cast<int>(rows), run, reinterpret_cast<const T*>(dy));
  });
}

}  // namespace roap::cuda
