#include "kernels/mix_uniform/mix_uniform_op.h"

namespace roap {

void mix_uniform_register_cuda() {}

}  // namespace roap
