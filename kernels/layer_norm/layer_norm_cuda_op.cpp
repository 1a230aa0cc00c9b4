#include "kernels/layer_norm/layer_norm_op.h"

namespace roap {

void layer_norm_register_cuda() {}

}  // namespace roap
