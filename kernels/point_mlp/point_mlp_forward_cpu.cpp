#include <algorithm>

#include "kernels/common/parallel.h"
#include "kernels/point_mlp/point_mlp_isa.h"
#include "kernels/point_mlp/point_mlp_pack.h"
#include "kernels/point_mlp/point_mlp_workspace.h"

// Computes: the distinct rows of the batch, then chunk by chunk of pairs the network on its rows and the maximum over
// its pairs. Mapping: a piece owns a range of segments of the chunk (network) or a range of tasks (maximum). Memory:
// the results of a chunk are the only large intermediate; rows are read back once per cell that uses them. Numerics:
// rows depend on their segment alone and a maximum is exact, so chunks and pieces do not change the result.

namespace roap::cpu {

namespace {

constexpr std::int64_t kChunkRows = 8192;
constexpr std::int64_t kPieces = 16;
constexpr std::int64_t kTaskGrain = 16;

struct Forward {
  PointMlpRows rows;
  PointMlpPacked packed;
  float* panels6;
  float* scratch;  // [kPieces, scratch_stride]
  float* results;  // [chunk_rows, result_stride]
  std::int64_t scratch_stride, chunk_rows, result_stride;
};

Forward lay_out(const PointMlpDims& d, WorkspaceCutter& workspace) {
  Forward f;
  f.rows = take_point_mlp_rows(d, workspace);
  f.packed = take_point_mlp_packed(d, workspace);
  f.panels6 = workspace.take<float>(panel_floats(d.features, d.hidden));
  f.scratch_stride = point_mlp_forward_scratch(f.packed.stride, std::max(d.hidden, d.features));
  f.scratch = workspace.take<float>(kPieces * f.scratch_stride);
  f.chunk_rows = std::max(point_mlp_block_rows(d), std::min(kChunkRows, d.cells()));
  f.result_stride = round_up(d.features, 32);
  f.results = workspace.take<float>(f.chunk_rows * f.result_stride + kMaxSlack);
  return f;
}

/// The network on segments [begin, end) of group g, whose rows are the chunk's.
void compute_rows(const PointMlpDims& d, const PointMlpInputs<float>& in, const PointMlpLayers& layers,
                  const Forward& f, std::int64_t g, std::int64_t begin, std::int64_t end) {
  const std::int64_t grain = pieces_of(end - begin, kPieces);
  const std::int32_t* segment = f.rows.segment_begin + begin;
  parallel_ranges(end - begin, grain, [&](std::int64_t first, std::int64_t last) {
    point_mlp_forward_rows(layers, {point_mlp_row_inputs(d, in, f.rows, g), segment + first, last - first,
                                    f.scratch + first / grain * f.scratch_stride,
                                    f.results + (segment[first] - segment[0]) * f.result_stride, f.result_stride});
  });
}

/// The maximum over pairs [pair_begin, pair_end), whose rows stand in the results from row_begin on.
void pool(const PointMlpDims& d, const Forward& f, std::int64_t g, std::int64_t row_begin, std::int64_t pair_begin,
          std::int64_t pair_end, float* h, std::int32_t* index) {
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      const std::int64_t at = (t * d.groups + g) * d.features;
      point_mlp_max({f.results, f.result_stride, row_begin, f.rows.row_of + t * d.pairs, pair_begin, pair_end,
                     d.features, h + at, index + at, pair_begin == 0});
    }
  });
}

}  // namespace

std::size_t point_mlp_forward_workspace(const PointMlpDims& d) {
  WorkspaceCutter workspace(nullptr);
  lay_out(d, workspace);
  return workspace.bytes();
}

std::int64_t point_mlp_forward_rows(const PointMlpDims& d, std::byte* workspace) {
  WorkspaceCutter cutter(workspace);
  return d.groups * lay_out(d, cutter).rows.count();
}

void point_mlp_forward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in, float* h,
                       std::int32_t* index, std::byte* workspace) {
  WorkspaceCutter cutter(workspace);
  Forward f = lay_out(d, cutter);
  find_point_mlp_rows(d, options.share_rows, in.y, f.rows);
  PointMlpLayers layers = pack_point_mlp(d, in.w, f.packed);
  constexpr std::int64_t kPanelGrain = 4;
  parallel_ranges(pieces_of(d.features, point_mlp_panel()), kPanelGrain, [&](std::int64_t first, std::int64_t last) {
    point_mlp_pack({in.w.w6, in.w.b6, d.features, d.hidden, d.hidden, 1}, first, last, f.panels6);
  });
  layers.panels6 = f.panels6;
  const std::int32_t* begin = f.rows.block_begin;
  for (std::int64_t g = 0; g < d.groups; ++g) {
    for (std::int64_t block = 0; block < f.rows.blocks;) {
      std::int64_t end = block + 1;
      while (end < f.rows.blocks && begin[end + 1] - begin[block] <= f.chunk_rows) ++end;
      compute_rows(d, in, layers, f, g, f.rows.block_segment[block], f.rows.block_segment[end]);
      pool(d, f, g, begin[block], block * f.rows.pairs_per_block, std::min(d.pairs, end * f.rows.pairs_per_block), h,
           index);
      block = end;
    }
  }
}

}  // namespace roap::cpu
