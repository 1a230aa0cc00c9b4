#pragma once

#include <array>
#include <cmath>

#include "kernels/adam_step/adam_step.h"

// The definition of adam_step: plain loops in float or double, inputs and outputs in the order of AdamStepOp.

namespace roap::reference {

template <class Real>
void adam_step(std::int64_t count, const AdamParams& params, const std::array<const Real*, 7>& inputs,
               const std::array<Real*, 4>& outputs) {
  const auto [w, gradient, m, v, step, guard, rates] = inputs;
  const auto [new_w, new_m, new_v, new_step] = outputs;
  const bool apply = guard[0] != 0;
  const Real n = apply ? step[0] + 1 : step[0];
  const Real scale = params.clip > 0 && guard[1] > params.clip ? static_cast<Real>(params.clip) / guard[1] : Real{1};
  const double correction1 = 1 - std::pow(params.beta1, static_cast<double>(n));
  const double correction2 = 1 - std::pow(params.beta2, static_cast<double>(n));
  for (std::int64_t i = 0; i < count; ++i) {
    new_w[i] = w[i];
    new_m[i] = m[i];
    new_v[i] = v[i];
    if (!apply) continue;
    const Real g = scale * gradient[i];
    new_m[i] = static_cast<Real>(params.beta1) * new_m[i] + static_cast<Real>(1 - params.beta1) * g;
    new_v[i] = static_cast<Real>(params.beta2) * new_v[i] + static_cast<Real>(1 - params.beta2) * g * g;
    const Real mean = new_m[i] / static_cast<Real>(correction1);
    const Real deviation = std::sqrt(new_v[i] / static_cast<Real>(correction2));
    new_w[i] -= rates[i < params.boundary ? 0 : 1] * mean / (deviation + static_cast<Real>(params.eps));
  }
  new_step[0] = n;
}

}  // namespace roap::reference
