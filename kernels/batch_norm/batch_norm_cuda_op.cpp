#include "kernels/batch_norm/batch_norm_op.h"

namespace roap {

void batch_norm_register_cuda() {}

}  // namespace roap
