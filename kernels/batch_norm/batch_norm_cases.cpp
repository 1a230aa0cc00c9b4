#include "kernels/batch_norm/batch_norm_op.h"
#include "kernels/batch_norm/batch_norm_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::batch_norm_forward(batch_norm_dims(c.in_shape(0)), static_cast<const BatchNormOp&>(op).params(),
                                c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.out<Real>(0),
                                c.out<Real>(1), c.out<Real>(2));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const reference::BatchNormGradients<Real> gradients{c.out<Real>(0), c.out<Real>(1),  c.out<Real>(2),
                                                      c.out<Real>(3), c.accumulate(0), c.accumulate(3)};
  reference::batch_norm_backward(batch_norm_dims(c.in_shape(2)), static_cast<const BatchNormBackwardOp&>(op).params(),
                                 c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.in<Real>(4),
                                 c.in<Real>(5), gradients);
}

template <class Real>
void run_eval(const Op& op, const RunContext& c) {
  reference::batch_norm_eval(batch_norm_dims(c.in_shape(0)), static_cast<const BatchNormEvalOp&>(op).params(),
                             c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.in<Real>(4), c.in<Real>(5),
                             c.out<Real>(0));
}

template <class Real>
void run_update(const Op& op, const RunContext& c) {
  const auto& update = static_cast<const BatchNormUpdateOp&>(op);
  for (std::size_t layer = 0; layer < update.params().counts.size(); ++layer) {
    reference::batch_norm_update(update.params().momentum, c.in<Real>(0), batch_norm_running<Real>(update, c, layer));
  }
}

struct Options {
  bool relu = false, residual = false;
  double mean = 0.5;
  bool performance = false;
};

std::string case_name(const Shape& x, const Options& options) {
  return fmt::format("{}x{}x{}x{}_mean{}{}{}", x[0], x[1], x[2], x[3], options.mean, options.relu ? "_relu" : "",
                     options.residual ? "_residual" : "");
}

OpCase train_case(const Shape& x, const Options& options) {
  OpCase c;
  c.name = case_name(x, options);
  c.op = std::make_shared<BatchNormOp>(BatchNormParams{options.relu});
  c.inputs = {CaseInput::normal("x", x, options.mean, 1.5), CaseInput::uniform("gamma", {x[3]}, 0.5, 1.5),
              CaseInput::normal("beta", {x[3]}),
              options.residual ? CaseInput::normal("residual", x) : CaseInput::absent()};
  c.performance = options.performance;
  return c;
}

OpCase eval_case(const Shape& x, const Options& options) {
  OpCase c;
  c.name = "eval_" + case_name(x, options);
  c.op = std::make_shared<BatchNormEvalOp>(BatchNormParams{options.relu});
  c.inputs = {CaseInput::normal("x", x, options.mean, 1.5).constant(),
              CaseInput::uniform("gamma", {x[3]}, 0.5, 1.5).constant(),
              CaseInput::normal("beta", {x[3]}).constant(),
              CaseInput::normal("running_mean", {x[3]}).constant(),
              CaseInput::uniform("running_var", {x[3]}, 0.1, 3).constant(),
              options.residual ? CaseInput::normal("residual", x).constant() : CaseInput::absent()};
  c.check_gradient = false;
  c.performance = options.performance;
  return c;
}

/// x and residual are bf16.
OpCase in_bf16(OpCase c) {
  c.name += "_bf16";
  for (CaseInput& input : c.inputs) {
    if (input.name == "x" || input.name == "residual") input = std::move(input).in_bf16();
  }
  return c;
}

/// `layers`: channels, and values of each in the batch.
OpCase update_case(const std::string& name, const std::vector<std::pair<std::int64_t, std::int64_t>>& layers,
                   bool finite) {
  OpCase c;
  c.name = "update_" + name + (finite ? "" : "_skipped");
  BatchNormUpdateParams params;
  c.inputs = {CaseInput::list("guard", f32({2}), {finite ? 1.0 : 0.0, 1.0}).constant()};
  for (const auto& [channels, count] : layers) {
    params.counts.push_back(count);
    c.inputs.insert(c.inputs.end(), {CaseInput::normal("mean", {channels}).constant(),
                                     CaseInput::uniform("variance", {channels}, 0.1, 3).constant(),
                                     CaseInput::normal("running_mean", {channels}).constant(),
                                     CaseInput::uniform("running_var", {channels}, 0.1, 3).constant()});
  }
  c.op = std::make_shared<BatchNormUpdateOp>(params);
  c.check_gradient = false;
  return c;
}

}  // namespace

OperatorTests batch_norm_tests() {
  OperatorTests tests;
  tests.references = {{"batch_norm", ROAP_REFERENCE(run_forward)},
                      {"batch_norm_backward", ROAP_REFERENCE(run_backward)},
                      {"batch_norm_eval", ROAP_REFERENCE(run_eval)},
                      {"batch_norm_update", ROAP_REFERENCE(run_update)}};
  tests.cases = {train_case({3, 1, 1, 1}, {}),
                 train_case({2, 9, 7, 3}, {.relu = true}),
                 train_case({5, 5, 5, 16}, {.relu = true, .residual = true}),
                 train_case({4, 2, 2, 17}, {.residual = true}),
                 train_case({7, 1, 1, 64}, {.relu = true, .residual = true}),
                 train_case({13, 8, 8, 33}, {.relu = true}),   // several blocks of rows, the last one shorter
                 train_case({9, 8, 8, 16}, {.mean = 1000}),    // mean large against the deviation
                 train_case({5, 1, 1, 9001}, {.relu = true}),  // more channels than a block holds
                 train_case({3, 5, 5, 9}, {.relu = true, .residual = true}).without_gradient_of(0),
                 eval_case({2, 9, 7, 3}, {.relu = true}),
                 eval_case({5, 5, 5, 17}, {.relu = true, .residual = true}),
                 eval_case({4, 2, 2, 64}, {.residual = true}),
                 in_bf16(train_case({2, 9, 7, 3}, {.relu = true})),
                 in_bf16(train_case({5, 5, 5, 16}, {.relu = true, .residual = true})),
                 in_bf16(train_case({7, 1, 1, 64}, {.residual = true})),
                 in_bf16(train_case({9, 8, 8, 24}, {.mean = 100})),
                 in_bf16(train_case({2, 9, 17, 136}, {.relu = true})),  // slabs of channels, the last one narrow
                 in_bf16(eval_case({5, 5, 5, 17}, {.relu = true, .residual = true})),
                 in_bf16(eval_case({4, 2, 2, 72}, {.residual = true})),
                 update_case("one_layer", {{17, 50}}, true),
                 update_case("layers", {{3, 1}, {300, 2}, {16, 50}}, true),
                 update_case("layers", {{3, 1}, {300, 2}, {16, 50}}, false),
                 update_case("many_layers", std::vector(70, std::pair<std::int64_t, std::int64_t>(5, 12)), true),
                 train_case({192, 16, 16, 64}, {.relu = true, .performance = true}),
                 train_case({192, 8, 8, 64}, {.relu = true, .residual = true, .performance = true}),
                 eval_case({192, 8, 8, 64}, {.relu = true, .residual = true, .performance = true})};
  return tests;
}

}  // namespace roap
