#include "kernels/tree_exec/tree_exec_op.h"

namespace roap {

void tree_exec_register_cuda() {}

}  // namespace roap
