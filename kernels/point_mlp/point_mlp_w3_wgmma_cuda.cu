#include "kernels/common/outer_products_wgmma.cuh"
#include "kernels/point_mlp/point_mlp_device.h"

namespace roap::cuda {

namespace {

/// The winning rows, of which only the device knows how many there are.
struct WinningRows {
  const std::int32_t* rows;
  int first = 0, steps = 0;
  [[nodiscard]] __device__ WinningRows of_part(int part, int parts) const {
    const std::int64_t all = (*rows + kOuterDepth - 1) / kOuterDepth;
    const int begin = static_cast<int>(part * all / parts), end = static_cast<int>((part + 1) * all / parts);
    return {rows, begin, end - begin};
  }
  [[nodiscard]] __device__ int count() const { return steps; }
  [[nodiscard]] __device__ OuterStep at(int i) const { return {(first + i) * kOuterDepth, 0, 0}; }
};

}  // namespace

void point_mlp_backward_w3_wgmma(const PointMlpDims& d, const PointMlpWinners& winners,
                                 const PointMlpRowMatrices<Bf16>& matrices, const PointMlpMatrixParts& parts,
                                 Stream stream) {
  static_assert(kPointMlpPaddedRows % kOuterDepth == 0);
  const std::int64_t rows = point_mlp_most_winners(d), width = PointMlpWidth(d).width;
  const int hidden = static_cast<int>(d.hidden);
  OuterOperands operands;
  operands.a[0] = outer_operand(matrices.dz2, rows, width);
  operands.b[0] = outer_operand(matrices.a1, rows, width);
  launch_outer_products("point_mlp_backward_w3_wgmma", WinningRows{winners.rows}, {1, parts.w3_parts}, operands,
                        {hidden, hidden, parts.w3, d.hidden * d.hidden, d.hidden}, stream);
}

}  // namespace roap::cuda
