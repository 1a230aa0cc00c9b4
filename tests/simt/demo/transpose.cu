#include "kernels/common/launch.h"
#include "kernels/common/shared.h"
#include "tests/simt/demo/demo.h"

namespace roap::cuda {

namespace {

constexpr int kTile = 32, kRowsAtOnce = 8;

/// Computes  y[c, r] = x[r, c]
/// Shapes    x [rows, columns], y [columns, rows], any sizes
/// Mapping   a block owns a tile of 32 x 32; a warp a row of it at a time, reading and writing
/// Memory    x and y once, by whole rows; the tile's rows are padded by one element, so that a column has no bank twice
/// Numerics  none
/// Limits    rows up to 32 * 65535
template <class T>
__global__ void __launch_bounds__(kTile* kRowsAtOnce) transpose_kernel(int rows, int columns, const T* x, T* y) {
  ROAP_SHARED(tile, T[kTile][kTile + 1]);
  const int first_row = static_cast<int>(blockIdx.y) * kTile, first_column = static_cast<int>(blockIdx.x) * kTile;
  const int i = static_cast<int>(threadIdx.x);
  for (int j = static_cast<int>(threadIdx.y); j < kTile; j += kRowsAtOnce) {
    const int row = first_row + j, column = first_column + i;
    if (row < rows && column < columns) tile[j][i] = x[static_cast<std::int64_t>(row) * columns + column];
  }
  __syncthreads();
  for (int j = static_cast<int>(threadIdx.y); j < kTile; j += kRowsAtOnce) {
    const int row = first_row + i, column = first_column + j;
    if (row < rows && column < columns) y[static_cast<std::int64_t>(column) * rows + row] = tile[i][j];
  }
}

}  // namespace

template <class T>
void demo_transpose(int rows, int columns, const T* x, T* y, cudaStream_t stream) {
  launch("demo_transpose", {.grid = {tiles(columns, kTile), tiles(rows, kTile)}, .block = {kTile, kRowsAtOnce}}, stream,
         transpose_kernel<T>, rows, columns, x, y);
}

template void demo_transpose(int, int, const float*, float*, cudaStream_t);
template void demo_transpose(int, int, const __nv_bfloat16*, __nv_bfloat16*, cudaStream_t);

}  // namespace roap::cuda
