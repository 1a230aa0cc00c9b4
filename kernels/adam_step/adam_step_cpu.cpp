#include "kernels/adam_step/adam_step.h"

#include <cmath>

#include "kernels/adam_step/adam_step_isa.h"
#include "kernels/common/parallel.h"

// Computes: Adam for all weights.
// Mapping: a piece owns kGrain elements.
// Memory: four arrays read, three written, once.
// Numerics: f32; bias corrections and clipping factor in double.

namespace roap::cpu {

namespace {

constexpr std::int64_t kGrain = 32768;

AdamFactors factors_of(const AdamParams& params, const AdamInputs& in) {
  const double n = double{in.step[0]} + 1;
  const double norm = in.guard[1];
  const double scale = params.clip > 0 && norm > params.clip ? params.clip / norm : 1.0;
  AdamFactors f{};
  f.gradient = static_cast<float>(scale);
  f.keep1 = static_cast<float>(params.beta1);
  f.add1 = static_cast<float>(1 - params.beta1);
  f.keep2 = static_cast<float>(params.beta2);
  f.add2 = static_cast<float>(1 - params.beta2);
  f.correction1 = static_cast<float>(1 / (1 - std::pow(params.beta1, n)));
  f.correction2 = static_cast<float>(1 / (1 - std::pow(params.beta2, n)));
  f.eps = static_cast<float>(params.eps);
  return f;
}

/// Outputs apart from their inputs must still get the old values.
void copy_unchanged(std::int64_t count, const AdamInputs& in, const AdamOutputs& out) {
  const auto copy = [](const float* from, std::int64_t n, float* to) {
    if (from != to) std::copy_n(from, n, to);
  };
  copy(in.weights, count, out.weights);
  copy(in.moment1, count, out.moment1);
  copy(in.moment2, count, out.moment2);
  copy(in.step, 1, out.step);
}

}  // namespace

void adam_step(std::int64_t count, const AdamParams& params, const AdamInputs& in, const AdamOutputs& out) {
  if (in.guard[0] == 0) return copy_unchanged(count, in, out);
  const AdamFactors factors = factors_of(params, in);
  const auto update = [&](std::int64_t begin, std::int64_t end, float rate) {
    if (begin >= end) return;
    AdamFactors f = factors;
    f.rate = rate;
    adam_range({in.weights + begin, in.gradients + begin, in.moment1 + begin, in.moment2 + begin, out.weights + begin,
                out.moment1 + begin, out.moment2 + begin, end - begin},
               f);
  };
  parallel_ranges(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t middle = std::clamp(params.boundary, begin, end);
    update(begin, middle, in.rates[0]);
    update(middle, end, in.rates[1]);
  });
  out.step[0] = in.step[0] + 1;
}

}  // namespace roap::cpu
