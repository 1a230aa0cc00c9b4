#include "kernels/tree_exec/tree_exec_isa.h"

#include "kernels/common/simd_partial.h"
#include "kernels/common/soft_operator.h"

// One vector of pairs at a time; the values of all nodes stay in L1.

namespace roap::ROAP_ISA {

using namespace simd::ROAP_ISA;
using simd::kLanes;

namespace {

/// Values of all nodes for the kLanes pairs from `pair`; children come after their parents, so nodes run backwards.
void execute(const TreeExecTask& task, std::int64_t pair, Vec* values) {
  for (int leaf = 0; leaf <= task.inner_nodes; ++leaf) {
    Vec value{};
    for (int j = 0; j < task.symbols; ++j) {
      value += task.leaves[leaf * task.symbols + j] * load(task.columns + j * task.stride + pair);
    }
    values[task.inner_nodes + leaf] = value;
  }
  for (int node = task.inner_nodes - 1; node >= 0; --node) {
    const SoftOperator o = soft_operator(task.operators + 4 * node);
    const Vec a = values[2 * node + 1], b = values[2 * node + 2];
    values[node] = o.first * a + o.second * b + o.product * (a * b);
  }
}

inline void put(float& target, float value, bool add) { target = add ? target + value : value; }

void backward_node(const TreeExecTask& task, const TreeExecTaskGradient& d, int node, bool add, const Vec* values,
                   Vec* gradients) {
  const SoftOperator o = soft_operator(task.operators + 4 * node);
  const Vec g = gradients[node], a = values[2 * node + 1], b = values[2 * node + 2];
  gradients[2 * node + 1] = g * (o.first + o.product * b);
  gradients[2 * node + 2] = g * (o.second + o.product * a);
  if (d.operators == nullptr) return;
  float* target = d.operators + 4 * node;
  const float ga = sum(g * a), gb = sum(g * b);
  put(target[0], ga + gb, add);
  put(target[1], ga - gb, add);
  put(target[2], sum(g * (a * b)), add);
  put(target[3], ga, add);
}

void backward_leaf(const TreeExecTask& task, const TreeExecTaskGradient& d, int leaf, std::int64_t pair, bool add,
                   Vec g) {
  for (int j = 0; j < task.symbols; ++j) {
    const std::int64_t weight = std::int64_t{leaf} * task.symbols + j;
    const std::int64_t column = j * task.stride + pair;
    if (d.leaves != nullptr) put(d.leaves[weight], sum(g * load(task.columns + column)), add);
    if (d.columns != nullptr) store(d.columns + column, load(d.columns + column) + g * task.leaves[weight]);
  }
}

}  // namespace

void tree_exec_forward_task(const TreeExecTask& task, float* yhat, float* scratch) {
  Vec* values = reinterpret_cast<Vec*>(scratch);
  for (std::int64_t pair = 0; pair < task.pairs; pair += kLanes) {
    execute(task, pair, values);
    store_first(yhat + pair, task.pairs - pair, values[0]);
  }
}

void tree_exec_backward_task(const TreeExecTask& task, const TreeExecTaskGradient& gradient, float* scratch) {
  Vec* values = reinterpret_cast<Vec*>(scratch);
  Vec* gradients = values + 2 * task.inner_nodes + 1;
  for (std::int64_t pair = 0; pair < task.pairs; pair += kLanes) {
    const bool add = gradient.accumulate || pair > 0;
    execute(task, pair, values);
    gradients[0] = load_first(gradient.dyhat + pair, task.pairs - pair);
    for (int node = 0; node < task.inner_nodes; ++node) backward_node(task, gradient, node, add, values, gradients);
    for (int leaf = 0; leaf <= task.inner_nodes; ++leaf) {
      backward_leaf(task, gradient, leaf, pair, add, gradients[task.inner_nodes + leaf]);
    }
  }
}

}  // namespace roap::ROAP_ISA
