#pragma once

#include <algorithm>

#include "kernels/common/sizes.h"
#include "kernels/common/workspace.h"
#include "kernels/point_mlp/point_mlp.h"

// What the CUDA files of point_mlp share: sizes, arrays in the workspace, and the steps that run in turn. A set is a
// (task, group), of which there are tasks * groups; its elements are the pairs. All arrays are on the device.

namespace roap::cuda {

/// Largest sizes of the fused kernels. Larger networks are computed layer by layer.
inline constexpr int kPointMlpMostHidden = 256, kPointMlpMostInputs = 16, kPointMlpMostFeatures = 4096;
inline bool point_mlp_fused(const PointMlpDims& d) {
  constexpr std::int64_t kMostElements = 0x7fffffff;  // of lists with 32-bit positions
  return d.hidden <= kPointMlpMostHidden && d.in <= kPointMlpMostInputs && d.features <= kPointMlpMostFeatures &&
         d.tasks * d.groups * std::max(d.pairs, d.features) <= kMostElements;
}

/// Columns of activations in fused kernels: `hidden`, and as many of `features` as a block computes at a time, rounded
/// up to a width for which there is code. Weights are padded with zeros to it.
struct PointMlpWidth {
  explicit PointMlpWidth(const PointMlpDims& d);
  int width = 0;
  int feature_blocks = 0;
};

/// Calls use.operator()<width>() for the width at run time.
template <class Use>
void with_point_mlp_width(int width, const Use& use) {
  switch (width) {
    case 32:
      return use.template operator()<32>();
    case 64:
      return use.template operator()<64>();
    case 96:
      return use.template operator()<96>();
    case 128:
      return use.template operator()<128>();
    case 192:
      return use.template operator()<192>();
    default:
      return use.template operator()<256>();
  }
}

/// The distinct values of y, for networks without symbols, and their rows. Absent where count is null; useless where it
/// exceeds `most`.
struct PointMlpValues {
  int most = 0;                          ///< rows that there is room for
  int slots = 0, hash_shift = 0;         ///< of the table: a power of two, and the bits of a hash that it leaves out
  std::int32_t* count = nullptr;         ///< [1]: distinct values
  std::uint32_t* keys = nullptr;         ///< [slots]: a hash table of values
  std::int32_t* row_of_slot = nullptr;   ///< [slots]
  std::int32_t* slot_of_cell = nullptr;  ///< [tasks, pairs]
  float* y = nullptr;                    ///< [most]
  float* z = nullptr;                    ///< [most, features]: what the network makes of them
};
PointMlpValues take_point_mlp_values(const PointMlpDims& d, const PointMlpOptions& options, WorkspaceCutter& workspace);

/// Inputs of the network as kernels read them.
struct PointMlpRows {
  PointMlpDims d;
  const float* y;
  const float* s;
  std::int32_t* columns;       ///< [groups, in - 1]
  PointMlpValues values = {};  ///< in the forward pass
};
/// Steps of the forward pass with values: find them, compute their rows (one of the two), look them up. The kernels
/// that compute every row do nothing where values are shared, and these where they are not.
void find_point_mlp_values(const PointMlpRows& rows, Stream stream);
void look_up_point_mlp_values(const PointMlpRows& rows, float* h, std::int32_t* index, Stream stream);

PointMlpRows take_point_mlp_rows(const PointMlpDims& d, const PointMlpInputs<float>& in, WorkspaceCutter& workspace);

/// Copies the columns of the inputs from the host.
void copy_point_mlp_columns(const PointMlpRows& rows, const std::int32_t* columns, Stream stream);

/// Weights as the f32 kernels read them, padded with zeros; columns in the order of F32Tile (point_mlp_f32_tile.cuh).
struct PointMlpF32Weights {
  float* vectors;   ///< [kPointMlpVectors, width]: small weights in the order of PointMlpVector
  float* w0;        ///< [in, width]
  float* b6;        ///< [feature_blocks, width]
  float* matrices;  ///< [., depth, width], inputs along depth: w3, then the feature blocks of w6; in the backward
                    ///< pass w3, then w3 with outputs along depth
  int slices;       ///< depth in slices of F32Tile
};
enum PointMlpVector { kGamma4, kBeta4, kB3, kGamma1, kBeta1, kB0, kPointMlpVectors };
PointMlpF32Weights take_point_mlp_f32_weights(const PointMlpDims& d, bool backward, WorkspaceCutter& workspace);
void pack_point_mlp_f32(const PointMlpDims& d, const PointMlpWeights<const float>& w, bool backward,
                        const PointMlpF32Weights& packed, Stream stream);

/// Weights as the tensor-core kernels read them, padded with zeros (see point_mlp_mma_tile.cuh for what they mean).
struct PointMlpBf16Weights {
  float* first;    ///< [in + 2, width]: gamma1 times the centred columns of w0 and b0, then beta1
  float* centred;  ///< [in + 1, width]: the centred columns
  float* gram;     ///< [in + 1, in + 1] of the centred columns, divided by hidden
  float* vectors;  ///< [4, width]: centred b3, gamma4, beta4, gamma1
  float* b6;       ///< [feature_blocks, width]
  Bf16* matrices;  ///< [., slices, width, kPointMlpSliceDepth]: by output, inputs along the last axis, as the 128-byte
                   ///< swizzle places them: centred w3, then the feature blocks of w6; in the backward pass those with
                   ///< inputs and outputs exchanged, and then w3 that way
  bool by_place = false;  ///< inputs and outputs of matrices lie as point_mlp_place says
};
inline constexpr int kPointMlpSliceDepth = 64;
PointMlpBf16Weights take_point_mlp_bf16_weights(const PointMlpDims& d, bool backward, WorkspaceCutter& workspace);
void pack_point_mlp_bf16(const PointMlpDims& d, const PointMlpWeights<const float>& w, bool backward,
                         const PointMlpBf16Weights& packed, Stream stream);

/// Winners of the pieces that the elements of every set are cut into: [pieces, sets * features].
struct PointMlpMaxima {
  int pieces = 0;
  float* value = nullptr;
  std::int32_t* pair = nullptr;
};
/// So many pieces of at least tile_rows elements each that small problems fill a device, too. One piece needs no
/// arrays: the kernels write h and index.
PointMlpMaxima take_point_mlp_maxima(const PointMlpDims& d, int tile_rows, WorkspaceCutter& workspace);
void merge_point_mlp_maxima(const PointMlpRows& rows, const PointMlpMaxima& maxima, float* h, std::int32_t* index,
                            Stream stream);

void point_mlp_maxima_f32(const PointMlpRows& rows, const PointMlpF32Weights& w, const PointMlpMaxima& out,
                          Stream stream);
void point_mlp_values_f32(const PointMlpRows& rows, const PointMlpF32Weights& w, Stream stream);

/// Tile of elements of the kernel that products by warpgroups run on, and whether it computes these sizes here.
inline constexpr int kPointMlpWgmmaTileRows = 64;
bool point_mlp_uses_wgmma(const PointMlpDims& d, const PointMlpOptions& options);
void point_mlp_maxima_wgmma(const PointMlpRows& rows, const PointMlpBf16Weights& w, const PointMlpMaxima& out,
                            Stream stream);

void point_mlp_maxima_mma(const PointMlpRows& rows, const PointMlpBf16Weights& w, const PointMlpMaxima& out,
                          Stream stream);
void point_mlp_values_mma(const PointMlpRows& rows, const PointMlpBf16Weights& w, Stream stream);

/// A feature that a row won, and its gradient.
struct PointMlpWin {
  std::int32_t row, feature;
  float dh;
};
/// Most rows through which gradients can flow.
inline std::int64_t point_mlp_most_winners(const PointMlpDims& d) {
  return d.tasks * d.groups * std::min(d.pairs, d.features);
}
/// The rows through which gradients flow: the distinct winners of each set, sets in order, pairs ascending.
struct PointMlpWinners {
  std::int32_t* sorted;       ///< [sets, features]: features in the order of their winners (between the two steps)
  std::int32_t* count;        ///< [sets]: rows of each set
  std::int32_t* rows;         ///< [1]: rows of all sets
  float* x;                   ///< [most_winners, in]: inputs of the network
  std::int32_t* first_win;    ///< [most_winners + 1]: row r won [first_win[r], first_win[r + 1])
  PointMlpWin* wins;          ///< [sets * features], by row, then by feature
  std::int32_t* row_of_win;   ///< [sets, features]: row that won each feature
  std::int32_t* row_of_pair;  ///< [sets, pairs]: row of each element, -1 where it won nothing
};
PointMlpWinners take_point_mlp_winners(const PointMlpDims& d, WorkspaceCutter& workspace);
void find_point_mlp_winners(const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                            const PointMlpWinners& winners, Stream stream);

/// Activations of the winning rows, for products over rows: [most_winners, width]. T is float or Bf16. Kernels for
/// warpgroups read rows behind the last one, too, up to a multiple of kPointMlpPaddedRows: a1 is finite there, dz2
/// zero.
inline constexpr int kPointMlpPaddedRows = 64;
template <class T>
struct PointMlpRowMatrices {
  T *a1, *xhat2, *dz2;
};
template <class T>
PointMlpRowMatrices<T> take_point_mlp_row_matrices(const PointMlpDims& d, WorkspaceCutter& workspace) {
  const std::int64_t count = point_mlp_most_winners(d) * PointMlpWidth(d).width;
  return {workspace.take<T>(count), workspace.take<T>(count), workspace.take<T>(count)};
}

/// Blocks among which the tiles of winning rows are divided. A block adds up its share of the gradients of small
/// weights, in one part or in several.
inline constexpr int kPointMlpPieces = 264;
/// Rows of a tile of the f32 and of the tensor-core kernels, and the parts of a block.
inline constexpr int kPointMlpF32TileRows = 64, kPointMlpF32Parts = 8;
inline constexpr int kPointMlpMmaTileRows = 128, kPointMlpMmaParts = 4;

/// Gradients of small weights by parts, and dx of the winning rows [most_winners, in - 1].
struct PointMlpF32Parts {
  float* vectors;  ///< [kPointMlpPieces * kPointMlpF32Parts, kPointMlpVectors + in, width]: then w0 by input
  float* dx;
};
void point_mlp_backward_rows_f32(const PointMlpDims& d, const PointMlpF32Weights& w, const float* w6,
                                 const PointMlpWinners& winners, const PointMlpRowMatrices<float>& matrices,
                                 const PointMlpF32Parts& parts, Stream stream);

/// The same of the tensor-core kernels, which leave of the first layer what its gradients follow from: with g the
/// gradient of relu's argument, m and n the means of gamma1 g and gamma1 g xhat of a row, and u as in
/// point_mlp_mma_tile.cuh
struct PointMlpBf16Parts {
  float* vectors;  ///< [kPointMlpPieces * kPointMlpMmaParts, kPointMlpBf16Vectors + in + 1, width]: then, for each j,
                   ///< sums over rows of u_j g
  float* scalars;  ///< [kPointMlpPieces, in + 1, in + 2]: for each j, sums over rows of u_j m, then of u_j u_k n for
                   ///< each k
  float* dx;
  float* first;  ///< the totals of u_j g [in + 1, width], then of scalars
};
enum PointMlpBf16Vector { kBf16Gamma4, kBf16Beta4, kBf16B3, kBf16Beta1, kPointMlpBf16Vectors };
void point_mlp_backward_rows_mma(const PointMlpDims& d, const PointMlpBf16Weights& w, const PointMlpWinners& winners,
                                 const PointMlpRowMatrices<Bf16>& matrices, const PointMlpBf16Parts& parts,
                                 Stream stream);
/// The same by warpgroups, for point_mlp_uses_wgmma, from weights by_place. Each of `blocks`, an even number, writes
/// one part of the vectors and two of the scalars. Matrices are written up to a multiple of kPointMlpPaddedRows, as far
/// as there is memory for them.
void point_mlp_backward_rows_wgmma(const PointMlpDims& d, const PointMlpBf16Weights& w, const PointMlpWinners& winners,
                                   const PointMlpRowMatrices<Bf16>& matrices, const PointMlpBf16Parts& parts,
                                   int blocks, Stream stream);
/// As many blocks as there may be work for, and no more than a device has room for.
int point_mlp_backward_wgmma_blocks(const PointMlpDims& d);
/// dgamma1, dw0 and db0 from parts.first; null gradients are skipped.
void point_mlp_first_gradients(const PointMlpDims& d, const PointMlpBf16Weights& w, const PointMlpBf16Parts& parts,
                               const PointMlpWeights<float>& dw, Stream stream);

/// Products over rows, by parts: w3 [w3_parts, hidden, hidden], w6 [w6_parts, features, hidden].
struct PointMlpMatrixParts {
  int w3_parts, w6_parts;
  float *w3, *w6;
};
PointMlpMatrixParts take_point_mlp_matrix_parts(const PointMlpDims& d, bool warpgroups, WorkspaceCutter& workspace);
void point_mlp_backward_w3_f32(const PointMlpDims& d, const PointMlpWinners& winners,
                               const PointMlpRowMatrices<float>& matrices, const PointMlpMatrixParts& parts,
                               Stream stream);
void point_mlp_backward_w3_mma(const PointMlpDims& d, const PointMlpWinners& winners,
                               const PointMlpRowMatrices<Bf16>& matrices, const PointMlpMatrixParts& parts,
                               Stream stream);
void point_mlp_backward_w3_wgmma(const PointMlpDims& d, const PointMlpWinners& winners,
                                 const PointMlpRowMatrices<Bf16>& matrices, const PointMlpMatrixParts& parts,
                                 Stream stream);
/// gamma4, beta4 [hidden].
template <class T>
void point_mlp_backward_w6(const PointMlpDims& d, const float* dh, const PointMlpWinners& winners, const T* xhat2,
                           const float* gamma4, const float* beta4, const PointMlpMatrixParts& parts, Stream stream);

/// out[column * out_stride] = sum over parts of values[part * stride + column].
struct PointMlpSum {
  const float* values;
  float* out;
  std::int64_t parts, stride, columns, out_stride;
  int parts_of_tile;  ///< where not zero, there are at most so many parts for each tile of winning rows
};
struct PointMlpSumList {
  static constexpr int kMost = 3 + kPointMlpVectors + kPointMlpMostInputs + 2;
  PointMlpSum of[kMost];
  int count = 0;
  int tile_rows = 1;
  /// Sums without `out` are skipped.
  void add(const PointMlpSum& sum) {
    if (sum.out != nullptr) of[count++] = sum;
  }
};
void add_point_mlp_parts(const PointMlpSumList& list, const PointMlpWinners& winners, Stream stream);
void point_mlp_backward_symbols(const PointMlpRows& rows, const PointMlpWinners& winners, const float* dx, float* ds,
                                bool accumulate, Stream stream);

/// Both directions for any sizes, by the kernels of linear, layer_norm and point_max.
std::size_t point_mlp_layers_forward_workspace(const PointMlpDims& d);
std::size_t point_mlp_layers_backward_workspace(const PointMlpDims& d);
void point_mlp_layers_forward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                              float* h, std::int32_t* index, std::byte* workspace, Stream stream);
void point_mlp_layers_backward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                               const float* dh, const std::int32_t* index, float* ds, bool accumulate,
                               const PointMlpWeights<float>& dw, std::byte* workspace, Stream stream);

}  // namespace roap::cuda
