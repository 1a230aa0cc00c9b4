#pragma once

#include "kernels/common/sketch_layout.h"
#include "kernels/common/soft_operator.h"
#include "kernels/common/static_for.cuh"

// A straight-line program whose size is known at compile time: its weights packed in shared memory and its lines
// unrolled, so that all values stay in registers.

namespace roap::cuda {

/// Line and choice of argument weight q of a side, counted over all lines.
struct ArgumentPlace {
  int line, choice;
};

/// Argument weights of one side before a line.
ROAP_HOST_DEVICE constexpr int arguments_before(int symbols, int line) {
  return symbols * line + line * (line - 1) / 2;
}

__device__ __forceinline__ ArgumentPlace argument_place(int symbols, int q) {
  const float b = 2.0f * static_cast<float>(symbols) - 1;
  int line = static_cast<int>((sqrtf(b * b + 8.0f * static_cast<float>(q)) - b) * 0.5f);
  while (arguments_before(symbols, line) > q) --line;  // rounding
  while (arguments_before(symbols, line + 1) <= q) ++line;
  return {line, q - arguments_before(symbols, line)};
}

/// Sizes, and where the weights of a task lie in shared memory: line by line the pairs (left, right) of every choice,
/// each line filled up to whole 16-byte accesses, which hold two choices; then the SoftOperator of every line, 16 bytes
/// each.
template <int kSymbolCount, int kLineCount>
struct Program {
  static constexpr int kSymbols = kSymbolCount, kLines = kLineCount, kValues = kSymbols + kLines;
  static constexpr StraightLineLayout kLayout{kSymbols, kLines};
  static constexpr int kSide = arguments_before(kSymbols, kLines);  ///< argument weights of a side
  static constexpr int kWeights = 4 * kLines + 2 * kSide;           ///< P

  ROAP_HOST_DEVICE static constexpr int arguments(int line) {
    const int odd_lines = kSymbols % 2 == 1 ? (line + 1) / 2 : line / 2;  // before it, each with a choice to fill up
    return 2 * (arguments_before(kSymbols, line) + odd_lines);
  }
  ROAP_HOST_DEVICE static constexpr int operators(int line) { return arguments(kLines) + 4 * line; }
  static constexpr int kPacked = arguments(kLines) + 4 * kLines;  ///< floats
};

/// Fills `packed` [P::kPacked] from the weights z [P::kWeights] of a task; the block must synchronise afterwards.
template <class P, int kThreads>
__device__ __forceinline__ void pack_program(const float* z, float* packed) {
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int first = 0; first < 2 * P::kSide; first += kThreads) {
    const int i = first + thread;
    if (i >= 2 * P::kSide) continue;
    const float weight = __ldg(z + 4 * P::kLines + i);
    const int side = i >= P::kSide ? 1 : 0;
    const ArgumentPlace place = argument_place(P::kSymbols, i - side * P::kSide);
    packed[P::arguments(place.line) + 2 * place.choice + side] = weight;
  }
  for (int line = thread; line < P::kLines; line += kThreads) {
    const SoftOperator o = soft_operator(z + 4 * line);
    *reinterpret_cast<float4*>(packed + P::operators(line)) = make_float4(o.first, o.second, o.product, 0);
  }
}

/// Calls use(choice, left weight, right weight) for the choices of a line, known at compile time.
template <class P, int kLine, class Use>
__device__ __forceinline__ void for_each_choice(const float* packed, const Use& use) {
  constexpr int kChoices = P::kSymbols + kLine;
#pragma unroll
  for (int i = 0; i < kChoices; i += 2) {
    const float* pair = packed + P::arguments(kLine) + 2 * i;
    if (i + 1 < kChoices) {
      const float4 weights = *reinterpret_cast<const float4*>(pair);
      use(i, weights.x, weights.y);
      use(i + 1, weights.z, weights.w);
    } else {
      const float2 weights = *reinterpret_cast<const float2*>(pair);
      use(i, weights.x, weights.y);
    }
  }
}

/// Runs all lines on the kPairs pairs of a thread, whose symbols are the first values; calls keep(line, a, b) with both
/// arguments [kPairs] of every line after its value is computed.
template <class P, int kPairs, class Keep>
__device__ __forceinline__ void run_program(const float* packed, float (&values)[P::kValues][kPairs],
                                            const Keep& keep) {
  static_for<0, P::kLines>([&](auto line) {
    float a[kPairs] = {}, b[kPairs] = {};
    for_each_choice<P, line>(packed, [&](int i, float left, float right) {
#pragma unroll
      for (int p = 0; p < kPairs; ++p) {
        a[p] += left * values[i][p];
        b[p] += right * values[i][p];
      }
    });
    const float4 o = *reinterpret_cast<const float4*>(packed + P::operators(line));
#pragma unroll
    for (int p = 0; p < kPairs; ++p) values[P::kSymbols + line][p] = o.x * a[p] + o.y * b[p] + o.z * (a[p] * b[p]);
    keep(line, a, b);
  });
}

/// Calls run.operator()<P>() with the program of that size, or returns false where there is none.
template <class Run>
bool with_program(const StraightLineLayout& layout, Run&& run) {
  if (layout.symbols != 3) return false;
  switch (layout.lines) {
    case 3:
      run.template operator()<Program<3, 3>>();
      return true;
    case 5:
      run.template operator()<Program<3, 5>>();
      return true;
    case 8:
      run.template operator()<Program<3, 8>>();
      return true;
    case 10:
      run.template operator()<Program<3, 10>>();
      return true;
    case 20:
      run.template operator()<Program<3, 20>>();
      return true;
    case 30:
      run.template operator()<Program<3, 30>>();
      return true;
    default:
      return false;
  }
}

}  // namespace roap::cuda
