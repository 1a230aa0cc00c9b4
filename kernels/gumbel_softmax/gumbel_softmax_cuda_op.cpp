#include "kernels/gumbel_softmax/gumbel_softmax_op.h"

namespace roap {

void gumbel_softmax_register_cuda() {}

}  // namespace roap
