#include "kernels/soft_exec/soft_exec_op.h"

namespace roap {

void soft_exec_register_cuda() {}

}  // namespace roap
