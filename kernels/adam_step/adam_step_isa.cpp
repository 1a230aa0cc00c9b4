#include "kernels/adam_step/adam_step_isa.h"

namespace roap::ROAP_ISA {

void adam_range(const AdamRange& range, const AdamFactors& factors) {
  const AdamRange r = range;
  const AdamFactors f = factors;
  // An output is either its input's memory or apart from it, so no iteration reads what another one wrote.
#pragma GCC ivdep
  for (std::int64_t i = 0; i < r.count; ++i) {
    const float g = f.gradient * r.gradients[i];
    const float m = f.keep1 * r.moment1[i] + f.add1 * g;
    const float v = f.keep2 * r.moment2[i] + f.add2 * (g * g);
    r.new_weights[i] = r.weights[i] - f.rate * (m * f.correction1) / (__builtin_sqrtf(v * f.correction2) + f.eps);
    r.new_moment1[i] = m;
    r.new_moment2[i] = v;
  }
}

}  // namespace roap::ROAP_ISA
