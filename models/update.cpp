#include "models/update.h"

#include "kernels/adam_step/adam_step_op.h"
#include "kernels/gradient_guard/gradient_guard_op.h"

namespace roap {

TensorId append_update(Graph& graph, TensorId loss, TensorId rates, const UpdateParams& params) {
  const ParameterStore& store = graph.store();
  const TensorId weights = graph.persistent("all.weights", store.all(Arena::weights));
  const TensorId gradients = graph.persistent("all.gradients", store.all(Arena::gradients));
  const TensorId moment1 = graph.persistent("all.moment1", store.all(Arena::moment1));
  const TensorId moment2 = graph.persistent("all.moment2", store.all(Arena::moment2));
  const TensorId step = graph.buffer(kAdamStep, {1}, Initializer::constant(0));
  const TensorId guard = graph.keep(gradient_guard(graph, "guard", loss, gradients));
  const std::int64_t boundary = params.first_network.empty() ? 0 : store.first_offset_after(params.first_network);
  adam_step(graph, "adam", {weights, gradients, moment1, moment2, step, guard, rates},
            {.boundary = boundary, .eps = params.eps, .clip = params.clip});
  return guard;
}

}  // namespace roap
