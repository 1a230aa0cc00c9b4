#include "models/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/autodiff.h"
#include "engine/schedule.h"
#include "kernels/batch_norm/batch_norm_op.h"
#include "kernels/formula_posterior/formula_posterior_op.h"
#include "kernels/gumbel_softmax/gumbel_softmax_op.h"
#include "kernels/image_batch/image_batch_op.h"
#include "kernels/repeat_rows/repeat_rows_op.h"
#include "kernels/reshape/reshape_op.h"
#include "kernels/task_loss/task_loss_op.h"
#include "models/grounder.h"
#include "models/update.h"

namespace roap {

namespace {

constexpr std::int64_t kReportHead = 3;  // guard [2] and loss [1], before error and length
constexpr double kLossShare = 0.01;      // of a step in the smoothed loss
constexpr double kCosineFloor = 0.02;    // share of the rate that is left at the end of a cosine schedule

std::array<std::uint32_t, 4> words(const RandomKey& key) { return {key.seed_low, key.seed_high, key.stream, key.step}; }

ImageBatchParams image_params(const Config& config, const ProblemShape& problem) {
  ImageBatchParams params{problem.scale, problem.shift};
  if (config.data.augment) {
    params.flip = problem.channels == 3;  // a mirrored digit is another digit
    params.max_shift = problem.height / 8;
  }
  return params;
}

/// Falls along a straight line, then stays.
double temperature(const Config::Search& search, double progress) {
  return search.temperature_late +
         (search.temperature - search.temperature_late) * linear_decay(search.temperature_until, progress);
}

}  // namespace

Trainer::Trainer(Model& model, const PairSource& source, Options options)
    : model_(model), source_(source), options_(options), graph_(model.store()) {
  runs_ = static_cast<std::uint64_t>(model.config().train.runs);
  run_steps_ = static_cast<std::uint64_t>(roap::total_steps(model.config()));
  screening_steps_ = static_cast<std::uint64_t>(roap::screening_steps(model.config()));
  all_steps_ = static_cast<std::uint64_t>(roap::all_steps(model.config()));
  check_method(model.config());
  const Config::Train& train = model.config().train;
  if (train.regauge > 0 || method_parts(model.config()).posterior) {
    formulas_ = std::make_unique<FormulaSet>(model.config().search, model.problem().symbols);
  }
  if (train.regauge > 0) {
    gauge_search_ = std::make_unique<GaugeSearch>(*formulas_, model.problem().tasks,
                                                  static_cast<int>(train.pairs_per_step), model.store().device());
  }
  build();
  executor_ = std::make_unique<Executor>(graph_, PlanOptions{!options.keep_everything, 0});
  executor_->bind(t_.images, source.images().pixels);
  pairs_->bind(*executor_);
  executor_->write(t_.sigma, source.sigma());
  const std::int64_t rows = graph_.shape(t_.error).count();
  for (auto& readback : readbacks_) {
    readback = executor_->backend().readback(static_cast<std::size_t>(kReportHead + 2 * rows) * sizeof(float));
  }
}

void Trainer::build() {
  const Config& config = model_.config();
  const ProblemShape& problem = model_.problem();
  const int pairs = static_cast<int>(config.train.pairs_per_step);
  t_.images = graph_.external("images", u8({source_.images().count, problem.height, problem.width, problem.channels}));
  t_.pair_key = graph_.input("pair_key", u32({4}));
  t_.augmentation_key = graph_.input("augmentation_key", u32({4}));
  t_.sigma = graph_.input("sigma", f32({problem.tasks}));
  t_.rates = graph_.input("rates", f32({2}));

  pairs_ = source_.stream(graph_, t_.pair_key, pairs);
  t_.y = graph_.keep(pairs_->y());
  const TensorId key = config.data.augment ? t_.augmentation_key : TensorId{};
  t_.pixels = image_batch(graph_, "batch", t_.images, pairs_->image_index(), key, image_params(config, problem),
                          model_.activation_type());
  const GrounderConfig grounder_config{config.model.grounder, config.model.stem,
                                       static_cast<int>(config.model.grounder_width)};
  const bool on_card = model_.store().device() == DeviceKind::cuda;
  const Grounder grounder =
      build_grounder(graph_, grounder_config, t_.pixels, true, on_card ? kConv2dMomentsFrom : kNoConv2dMoments);
  t_.symbols = reshape(graph_, "symbols", grounder.symbols, {pairs, problem.symbols});
  const MethodParts parts = method_parts(config);
  if (parts.posterior) append_posterior();
  if (parts.programs)
    append_programs(parts.posterior ? stop_gradient(graph_, "symbols.fixed", t_.symbols) : t_.symbols);
  if (parts.head) {
    t_.yhat = graph_.keep(model_.head(graph_, t_.symbols));
    append_loss("loss", 1);
  }
  for (const TensorId tensor : {t_.symbols, t_.loss, t_.error}) graph_.keep(tensor);

  t_.loss_gradient = graph_.input("grad.loss", f32({1}));
  std::vector<std::pair<TensorId, TensorId>> losses{{t_.loss, t_.loss_gradient}};
  if (t_.program_loss.present()) {
    t_.program_loss_gradient = graph_.input("grad.program_loss", f32({1}));
    losses.emplace_back(graph_.keep(t_.program_loss), t_.program_loss_gradient);
  }
  append_backward(graph_, losses);
  group_conv2d_weight_gradients(graph_);
  append_update(grounder.updates);
  for (int i = 0; options_.keep_everything && i < static_cast<int>(graph_.tensors().size()); ++i) graph_.keep({i});
}

void Trainer::append_programs(TensorId symbols) {
  const Config::Train& train = model_.config().train;
  t_.sharpness = graph_.input("sharpness", f32({1}));
  t_.gumbel_key = graph_.input("gumbel_key", u32({4}));
  t_.logits = model_.logits(graph_, t_.y, symbols);
  const bool noise = train.method != "softmax";
  const std::vector<int> groups = model_.sketch().group_sizes();
  TensorId logits = t_.logits;
  if (train.samples > 1) logits = repeat_rows(graph_, "samples", logits, train.samples);
  t_.z = gumbel_softmax(graph_, "z", logits, t_.sharpness, t_.gumbel_key, {groups, noise, train.straight_through});
  t_.yhat = model_.sketch().execute(graph_, "yhat", t_.z, symbols);
  t_.length = model_.sketch().length(graph_, "length", t_.z);
  append_loss(t_.loss.present() ? "program_loss" : "loss", train.samples);
  for (const TensorId tensor : {t_.logits, t_.z, t_.yhat, t_.length}) graph_.keep(tensor);
}

/// The loss of yhat, of which each task has `samples` rows.
void Trainer::append_loss(const std::string& name, std::int64_t samples) {
  t_.lambda = graph_.input("lambda", f32({1}));
  t_.loss_floor = graph_.input("loss_floor", f32({1}));
  const TaskLossKind kind = model_.config().train.loss == "profiled" ? TaskLossKind::profiled : TaskLossKind::gaussian;
  const TensorId floor = kind == TaskLossKind::profiled ? t_.loss_floor : TensorId{};
  const TaskLoss loss = task_loss(graph_, name, t_.yhat, t_.y, t_.sigma, t_.length, t_.lambda, floor, {kind, samples});
  t_.error = loss.error;
  (t_.loss.present() ? t_.program_loss : t_.loss) = loss.loss;
}

void Trainer::append_posterior() {
  t_.temperature = graph_.input("temperature", f32({1}));
  t_.search_floor = graph_.input("search_floor", f32({1}));
  const FormulaPosterior posterior = formula_posterior(graph_, "posterior", t_.symbols, t_.y, t_.sigma, t_.temperature,
                                                       t_.search_floor, formulas_->graph());
  t_.loss = posterior.loss;
  t_.error = posterior.least_error;
  t_.evidence = posterior.evidence;
}

void Trainer::append_update(const std::vector<BatchNormUpdate>& statistics) {
  const Config::Train& train = model_.config().train;
  first_update_node_ = graph_.nodes().size();
  t_.guard = roap::append_update(graph_, t_.loss, t_.rates,
                                 {.first_network = "grounder.", .eps = train.eps, .clip = train.clip});
  append_batch_norm_updates(graph_, statistics, t_.guard);
}

RandomKey Trainer::key(RandomStream stream, std::uint64_t step) const {
  return random_key(static_cast<std::uint64_t>(model_.config().train.seed), stream, step,
                    static_cast<std::uint32_t>(state_.random_epoch));
}

RandomKey Trainer::gumbel_key(std::uint64_t step) const { return key(RandomStream::gumbel, step); }

std::uint64_t Trainer::step_of_run(std::uint64_t step) const {
  return step - std::min(state_.run, runs_ - 1) * screening_steps_;
}

bool Trainer::at_run_end() const {
  return runs_ > 1 && state_.run < runs_ && state_.step == (state_.run + 1) * screening_steps_;
}

Trainer::RunEnd Trainer::end_run() {
  if (!at_run_end() || in_flight() > 0) throw UsageError("a run was ended before its last step was collected");
  RunEnd end;
  end.loss = state_.smooth_loss;
  if (!state_.best || state_.smooth_loss < state_.best->loss) {
    state_.best = std::make_shared<const BestRun>(BestRun{state_.run, state_.smooth_loss, model_.store().snapshot()});
  }
  end.best = state_.best;
  end.chosen = ++state_.run == runs_;
  if (end.chosen) {
    model_.store().restore(state_.best->parameters);
    state_.smooth_loss = state_.best->loss;
    state_.best = nullptr;
  } else {
    model_.store().restart(static_cast<std::uint64_t>(model_.config().train.seed), state_.run);
    state_.smooth_loss = std::numeric_limits<double>::infinity();
  }
  state_.skips_in_a_row = 0;
  return end;
}

Trainer::Schedule Trainer::schedule(std::uint64_t step) const {
  const Config::Train& train = model_.config().train;
  const std::uint64_t own_step = step_of_run(step);
  const double progress = static_cast<double>(own_step) / static_cast<double>(std::max<std::uint64_t>(run_steps_, 1));
  const double decay = train.lr_schedule == "cosine" ? cosine_decay(kCosineFloor, progress) : 1.0;
  const double share = decay * warmup(static_cast<double>(own_step), static_cast<double>(train.warmup_steps));
  const double sharpness = train.sharpness_schedule == "geometric"
                               ? geometric_schedule(train.sharpness, train.sharpness_late, progress)
                               : step_schedule(train.sharpness, train.sharpness_late, train.sharpness_from, progress);
  const double grounder_lr = train.grounder_lr > 0 ? train.grounder_lr : train.lr;
  return {grounder_lr * share,
          train.lr * share,
          sharpness,
          step_schedule(0, train.lambda, train.lambda_from, progress),
          geometric_schedule(train.loss_floor, train.loss_floor_late > 0 ? train.loss_floor_late : train.loss_floor,
                             progress),
          temperature(model_.config().search, progress)};
}

void Trainer::write_inputs(std::uint64_t step) {
  const RandomKey pair_key = key(RandomStream::training_pairs, step);
  pairs_->before_run(*executor_, pair_key);
  const Schedule now = schedule(step);
  const auto scalar = [&](TensorId tensor, double value) {
    if (!tensor.present()) return;
    const float x = static_cast<float>(value);
    executor_->write(tensor, std::span<const float>(&x, 1));
  };
  executor_->write(t_.pair_key, std::span<const std::uint32_t>(words(pair_key)));
  if (t_.gumbel_key.present()) {
    executor_->write(t_.gumbel_key, std::span<const std::uint32_t>(words(gumbel_key(step))));
  }
  executor_->write(t_.augmentation_key, std::span<const std::uint32_t>(words(key(RandomStream::augmentation, step))));
  scalar(t_.sharpness, now.sharpness);
  scalar(t_.lambda, now.lambda);
  scalar(t_.loss_floor, now.loss_floor);
  scalar(t_.temperature, now.temperature);
  scalar(t_.search_floor, model_.config().search.floor);
  const std::array<float, 2> rates{static_cast<float>(now.grounder_rate), static_cast<float>(now.rate)};
  executor_->write(t_.rates, std::span<const float>(rates));
  scalar(t_.loss_gradient, 1.0);
  scalar(t_.program_loss_gradient, 1.0);
}

StepReport Trainer::step() {
  submit();
  return collect();
}

void Trainer::request_report(Readback& readback) const {
  std::size_t offset = 0;
  for (const TensorId tensor : {t_.guard, t_.loss, t_.error, t_.length}) {
    if (!tensor.present()) continue;
    executor_->request(readback, offset, tensor);
    offset += static_cast<std::size_t>(graph_.shape(tensor).count()) * sizeof(float);
  }
}

void Trainer::submit() {
  if (in_flight_.size() == kMostInFlight) throw UsageError("a training step was submitted before one was collected");
  if (at_run_end()) throw UsageError("a training step was submitted before the last run was ended");
  const std::uint64_t step = state_.step++;
  write_inputs(step);
  executor_->run();
  request_report(*readbacks_[step % kMostInFlight]);
  in_flight_.push_back({step, regauge(step)});
}

/// On the symbols that the step just run had, a moment before its update.
AffineMap Trainer::regauge(std::uint64_t step) {
  const Config& config = model_.config();
  const bool due =
      gauge_search_ != nullptr && (step + 1) % static_cast<std::uint64_t>(config.train.regauge) == 0 &&
      static_cast<double>(step_of_run(step)) < config.train.regauge_until * static_cast<double>(run_steps_);
  if (!due) return {};
  const AffineMap map = gauge_search_->best_map(executor_->read(t_.symbols), executor_->read(t_.y), source_.sigma(),
                                                schedule(step).temperature, config.search.floor);
  if (!map.is_identity()) model_.apply_gauge(map);
  return map;
}

StepReport Trainer::collect() {
  const auto [step, gauge] = in_flight_.front();
  in_flight_.pop_front();
  const auto* values = reinterpret_cast<const float*>(readbacks_[step % kMostInFlight]->wait());
  const std::int64_t rows = graph_.shape(t_.error).count();
  const float* error = values + kReportHead;
  const float* length = error + rows;
  const Schedule then = schedule(step);
  StepReport report;
  report.step = step + 1;
  report.loss = values[2];
  report.mean_error = std::accumulate(error, error + rows, 0.0) / static_cast<double>(rows);
  if (t_.length.present()) {
    report.mean_length = std::accumulate(length, length + rows, 0.0) / static_cast<double>(rows);
  }
  report.gradient_norm = values[1];
  report.sharpness = then.sharpness;
  report.temperature = then.temperature;
  report.gauge = gauge;
  report.rate = then.rate;
  report.skipped = values[0] == 0;
  if (report.skipped) report.diagnosis = diagnose(step);
  if (!report.skipped) {
    state_.smooth_loss = std::isfinite(state_.smooth_loss)
                             ? state_.smooth_loss + kLossShare * (report.loss - state_.smooth_loss)
                             : report.loss;
  }
  state_.skipped_steps += report.skipped ? 1 : 0;
  state_.skips_in_a_row = report.skipped ? state_.skips_in_a_row + 1 : 0;
  return report;
}

std::string Trainer::diagnose(std::uint64_t step) {
  if (!in_flight_.empty()) {
    // A later step has overwritten the tensors: compute that step again, without its update, on the present weights.
    write_inputs(step);
    executor_->run(0, first_update_node_);
  }
  return diagnose_tensors();
}

std::string Trainer::diagnose_tensors() const {
  const std::vector<float> symbols = executor_->read(t_.symbols);
  if (!std::all_of(symbols.begin(), symbols.end(), [](float s) { return std::isfinite(s); })) {
    return "the grounder's symbols are not finite";
  }
  if (!t_.yhat.present()) return "the symbols are finite, the value of a formula or a gradient is not";
  const std::vector<float> yhat = executor_->read(t_.yhat);
  const auto bad = std::find_if(yhat.begin(), yhat.end(), [](float y) { return !std::isfinite(y); });
  if (bad == yhat.end()) return "the outputs are finite, a gradient is not";
  const std::size_t pairs = static_cast<std::size_t>(model_.config().train.pairs_per_step);
  const std::size_t row = static_cast<std::size_t>(bad - yhat.begin()) / pairs;
  if (!t_.z.present()) return fmt::format("the output of task {} is not finite", row);
  const std::vector<float> z = executor_->read(t_.z);
  const std::size_t task = row / static_cast<std::size_t>(model_.config().train.samples);
  const std::size_t pair = static_cast<std::size_t>(bad - yhat.begin()) % pairs;
  const std::size_t count = static_cast<std::size_t>(model_.sketch().logit_count());
  const std::size_t variables = static_cast<std::size_t>(model_.problem().symbols);
  const int line = model_.sketch().first_non_finite_line(std::span(z).subspan(row * count, count),
                                                         std::span(symbols).subspan(pair * variables, variables));
  if (line == 0) return fmt::format("the output of task {} is not finite", task);
  return fmt::format("task {} overflowed at line {}", task, line);
}

}  // namespace roap
