#include <vector>

#include "engine/cuda/state.h"
#include "kernels/formula_posterior/formula_posterior_op.h"
#include "kernels/formula_posterior/formula_schedule.h"

namespace roap {

namespace {

/// The formulas on the device.
class FormulaState : public cuda::CounterState {
 public:
  FormulaState(std::size_t workspace_bytes, const FormulaGraph& formulas) : CounterState(workspace_bytes, 1) {
    const FormulaSchedule schedule(formulas);
    tables_ = {static_cast<int>(schedule.first_step.size()) - 1,
               upload(schedule.steps),
               upload(schedule.first_step),
               upload(schedule.uses),
               upload(schedule.users),
               upload(schedule.first_user),
               upload(formulas.penalty)};
  }
  [[nodiscard]] const cuda::FormulaTables& tables() const { return tables_; }

 private:
  template <class T>
  const T* upload(const std::vector<T>& values) {
    const std::size_t bytes = values.size() * sizeof(T);
    buffers_.emplace_back(DeviceKind::cuda, bytes);
    backend_of(DeviceKind::cuda).upload(buffers_.back().data(), values.data(), bytes);
    return reinterpret_cast<const T*>(buffers_.back().data());
  }

  std::vector<DeviceBuffer> buffers_;
  cuda::FormulaTables tables_;
};

std::unique_ptr<OpState> prepare_forward(const Op& op, const Specs& in, const Specs& /*out*/) {
  const FormulaGraph& formulas = *static_cast<const FormulaPosteriorOp&>(op).params().formulas;
  const FormulaPosteriorDims d = formula_posterior_dims(formulas, in[0].shape, in[1].shape);
  return std::make_unique<FormulaState>(cuda::formula_posterior_forward_workspace(d), formulas);
}

void run_forward(const Op& op, const RunContext& c) {
  const FormulaPosteriorParams& params = static_cast<const FormulaPosteriorOp&>(op).params();
  const auto& state = c.state<FormulaState>();
  cuda::formula_posterior_forward(
      formula_posterior_dims(*params.formulas, c.in_shape(0), c.in_shape(1)), state.tables(), c.in<float>(0),
      c.in<float>(1), c.in<float>(2), c.in<float>(3), c.in<float>(4), c.out<float>(0), c.out<float>(1), c.out<float>(2),
      params.save_errors ? c.out<float>(3) : nullptr, state.counters(), c.workspace(), c.stream());
}

std::unique_ptr<OpState> prepare_backward(const Op& op, const Specs& in, const Specs& /*out*/) {
  const FormulaGraph& formulas = *static_cast<const FormulaPosteriorBackwardOp&>(op).params().formulas;
  const FormulaPosteriorDims d = formula_posterior_dims(formulas, in[1].shape, in[2].shape);
  return std::make_unique<FormulaState>(cuda::formula_posterior_backward_workspace(d, in[7].present()), formulas);
}

void run_backward(const Op& op, const RunContext& c) {
  const FormulaPosteriorParams& params = static_cast<const FormulaPosteriorBackwardOp&>(op).params();
  cuda::formula_posterior_backward(formula_posterior_dims(*params.formulas, c.in_shape(1), c.in_shape(2)),
                                   c.state<FormulaState>().tables(), c.in<float>(0), c.in<float>(1), c.in<float>(2),
                                   c.in<float>(3), c.in<float>(4), c.in<float>(5), c.in<float>(6), c.in<float>(7),
                                   c.out<float>(0), c.accumulate(0), c.workspace(), c.stream());
}

}  // namespace

void formula_posterior_register_cuda() {
  register_cuda("formula_posterior", {run_forward, prepare_forward});
  register_cuda("formula_posterior_backward", {run_backward, prepare_backward});
}

}  // namespace roap
