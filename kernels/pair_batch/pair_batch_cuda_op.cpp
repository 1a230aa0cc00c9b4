#include "kernels/pair_batch/pair_batch_op.h"

namespace roap {

void pair_batch_register_cuda() {}

}  // namespace roap
