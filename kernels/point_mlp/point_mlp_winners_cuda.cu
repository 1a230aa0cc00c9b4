#include "kernels/common/launch.h"
#include "kernels/common/prefix.cuh"
#include "kernels/point_mlp/point_mlp_row.cuh"

// The rows through which gradients flow: the distinct winners of each set, of which there are at most `features` and
// usually much fewer.

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// Computes  the features of a set in the order of (winner, feature), and how many distinct winners there are
/// Shapes    index [sets, features] -> sorted [sets, features], count [sets]
/// Mapping   a block owns a set, a thread every 256th feature
/// Memory    index is read once; every feature is compared with every other in shared memory (65,536 comparisons of 256
///           features, a few microseconds in all)
/// Numerics  exact
/// Limits    features <= kPointMlpMostFeatures
__global__ void __launch_bounds__(kThreads)
    point_mlp_sort_winners_kernel(int features, const std::int32_t* index, std::int32_t* sorted, std::int32_t* count) {
  auto* winner = dynamic_shared<std::int32_t>();
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * features;
  for (int f = static_cast<int>(threadIdx.x); f < features; f += kThreads) winner[f] = index[begin + f];
  __syncthreads();
  int distinct = 0;
  for (int f = static_cast<int>(threadIdx.x); f < features; f += kThreads) {
    const std::int32_t mine = winner[f];
    int before = 0;
    bool first = true;
    for (int other = 0; other < features; ++other) {
      const std::int32_t theirs = winner[other];
      const bool earlier = theirs == mine && other < f;
      before += static_cast<int>(theirs < mine || earlier);
      first = first && !earlier;
    }
    sorted[begin + before] = f;
    distinct += static_cast<int>(first);
  }
  distinct = block_sum<kThreads>(distinct);
  if (threadIdx.x == 0) count[blockIdx.x] = distinct;
}

/// Computes  the list of winning rows and what each won, from the sorted features
/// Shapes    PointMlpRows; dh, index [sets, features]; PointMlpWinners
/// Mapping   a block owns a set; its first row follows from the counts of the sets before
/// Memory    everything is read and written once, row_of_pair [sets, pairs] most of all
/// Numerics  exact
__global__ void __launch_bounds__(kThreads)
    point_mlp_list_winners_kernel(PointMlpRows inputs, const float* dh, const std::int32_t* index,
                                  PointMlpWinners winners) {
  const PointMlpDims& d = inputs.d;
  const int features = static_cast<int>(d.features), thread = static_cast<int>(threadIdx.x);
  const auto set = static_cast<int>(blockIdx.x);
  const int in = static_cast<int>(d.in);
  const PointMlpSet elements(inputs, set);
  const std::int64_t begin = static_cast<std::int64_t>(set) * features;
  std::int32_t* row_of_pair = winners.row_of_pair + set * d.pairs;
  for (std::int64_t i = thread; i < d.pairs; i += kThreads) row_of_pair[i] = -1;
  int row = 0;
  for (int before = thread; before < set; before += kThreads) row += winners.count[before];
  row = block_sum<kThreads>(row);  // its barriers also order the writes of row_of_pair
  for (int first = 0; first < features; first += kThreads) {
    const int place = first + thread;
    const bool inside = place < features;
    const std::int32_t feature = inside ? winners.sorted[begin + place] : 0;
    const std::int32_t pair = index[begin + feature];
    const bool is_new = inside && (place == 0 || index[begin + winners.sorted[begin + place - 1]] != pair);
    const PrefixCount count = block_prefix_count<kThreads>(is_new);
    const int mine = row + count.before - (is_new ? 0 : 1);
    row += count.total;
    if (!inside) continue;
    winners.wins[begin + place] = {mine, feature, dh[begin + feature]};
    winners.row_of_win[begin + feature] = mine;
    if (!is_new) continue;
    for (int input = 0; input < in; ++input) {
      winners.x[static_cast<std::int64_t>(mine) * in + input] = elements.input(pair, input);
    }
    winners.first_win[mine] = static_cast<std::int32_t>(begin) + place;
    row_of_pair[pair] = mine;
  }
  if (set + 1 == static_cast<int>(gridDim.x) && thread == 0) {
    *winners.rows = row;
    winners.first_win[row] = static_cast<std::int32_t>(begin) + features;
  }
}

}  // namespace

PointMlpWinners take_point_mlp_winners(const PointMlpDims& d, WorkspaceCutter& workspace) {
  const std::int64_t sets = d.tasks * d.groups, wins = sets * d.features, most = point_mlp_most_winners(d);
  PointMlpWinners winners{};
  winners.sorted = workspace.take<std::int32_t>(wins);
  winners.count = workspace.take<std::int32_t>(sets);
  winners.rows = workspace.take<std::int32_t>(1);
  winners.x = workspace.take<float>(most * d.in);
  winners.first_win = workspace.take<std::int32_t>(most + 1);
  winners.wins = workspace.take<PointMlpWin>(wins);
  winners.row_of_win = workspace.take<std::int32_t>(wins);
  winners.row_of_pair = workspace.take<std::int32_t>(sets * d.pairs);
  return winners;
}

void find_point_mlp_winners(const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                            const PointMlpWinners& winners, Stream stream) {
  const PointMlpDims& d = rows.d;
  const auto sets = static_cast<unsigned>(d.tasks * d.groups);
  const int features = static_cast<int>(d.features);
  launch("point_mlp_sort_winners",
         {.grid = sets, .block = kThreads, .shared_bytes = static_cast<std::size_t>(features) * sizeof(std::int32_t)},
         stream, point_mlp_sort_winners_kernel, features, index, winners.sorted, winners.count);
  launch("point_mlp_list_winners", {.grid = sets, .block = kThreads}, stream, point_mlp_list_winners_kernel, rows, dh,
         index, winners);
}

}  // namespace roap::cuda
