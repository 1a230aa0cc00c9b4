#include "kernels/point_mlp/point_mlp_op.h"

namespace roap {

void point_mlp_register_cuda() {}

}  // namespace roap
