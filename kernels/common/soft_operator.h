#pragma once

#include "kernels/common/host_device.h"

namespace roap {

/// One soft operator node with weights z = (add, sub, mul, no-op):
/// z0 (A + B) + z1 (A - B) + z2 A B + z3 A = first A + second B + product A B.
struct SoftOperator {
  float first, second, product;
};

ROAP_HOST_DEVICE static inline SoftOperator soft_operator(const float* z) {
  return {z[0] + z[1] + z[3], z[0] - z[1], z[2]};
}

}  // namespace roap
