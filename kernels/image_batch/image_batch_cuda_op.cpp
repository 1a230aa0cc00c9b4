#include "kernels/image_batch/image_batch_op.h"

namespace roap {

void image_batch_register_cuda() {}

}  // namespace roap
