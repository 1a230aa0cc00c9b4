#include "kernels/max_pool2d/max_pool2d_op.h"

namespace roap {

void max_pool2d_register_cuda() {}

}  // namespace roap
