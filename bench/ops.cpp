#include "bench/ops.h"

#include <algorithm>
#include <future>
#include <map>

#include "bench/peers/peer.h"
#include "engine/cuda_library.h"
#include "engine/roofline.h"
#include "kernels/common/error.h"
#include "tests/ops/agreement.h"
#include "tests/ops/run_case.h"

namespace roap::bench {

namespace {

using Results = std::vector<CaseRun::Tensor>;

Results run_reference(const OpCase& op_case, DeviceKind device) {
  CaseRun run(op_case, device, {});
  run.run();
  return run.results();
}

/// The largest relative error of a case that has just run, -1 where it was not checked. DataError where it is wrong.
Agreement check(CaseRun& run, const OpCase& op_case, DeviceKind device) {
  // Plain loops on one core each: both at once.
  auto f32 = std::async(std::launch::async, run_reference, std::cref(op_case), DeviceKind::reference_f32);
  const Results f64 = run_reference(op_case, DeviceKind::reference_f64);
  return agreement_with_reference(op_case, device, 1, run.results(), f32.get(), f64);
}

/// Something to be timed. A device with a stream of its own gets a batch of runs between two points in time, so that
/// the distance between launches does not count.
Timed timed(const std::string& name, DeviceKind device, std::function<void()> run) {
  constexpr int kBatch = 20;
  const int batch = device == DeviceKind::cuda ? kBatch : 1;
  std::shared_ptr<Timeline> timeline = backend_of(device).timeline(2);
  return {name, [run = std::move(run), batch, timeline] {
            timeline->mark(0);
            for (int i = 0; i < batch; ++i) run();
            timeline->mark(1);
            return timeline->seconds(0, 1) / batch;
          }};
}

double bytes_of(const RunContext& context, DeviceKind device) {
  double bytes = 0;
  for (const auto* specs : {&context.input_specs(), &context.output_specs()}) {
    for (const TensorSpec& spec : *specs) {
      if (spec.present())
        bytes += static_cast<double>(spec.shape.count()) * static_cast<double>(element_size(device, spec.dtype));
    }
  }
  return bytes;
}

/// Peers of a node; none, with a note, where a library cannot do it.
std::vector<std::unique_ptr<Peer>> peers_that_run(Session& session, const std::string& name, const Op& op,
                                                  const RunContext& context, DeviceKind device) {
  try {
    std::vector<std::unique_ptr<Peer>> peers = peers_of(op, context, device);
    for (const auto& peer : peers) peer->run();
    return peers;
  } catch (const DeviceError& error) {
    session.leave_out(name + " beside others", error.what());
    return {};
  }
}

/// Peers whose output agrees with ours, ready to be timed; the others are reported and refused. `errors` begins with
/// ours against the reference and gets theirs against ours.
std::vector<std::unique_ptr<Peer>> checked_peers(Session& session, const std::string& name, const Op& op,
                                                 const RunContext& context, bool bf16, DeviceKind device,
                                                 std::vector<double>& errors) {
  // Relative to the largest value: f32 sums in another order; on CUDA a result or a gradient may be rounded to bf16.
  // Where ties are near, both may be as far from the reference as ours is, each in its own way.
  const double most = std::max(bf16 && device == DeviceKind::cuda ? 1.0 / 128 : 1e-4, 2 * errors.front());
  std::vector<std::unique_ptr<Peer>> good;
  for (std::unique_ptr<Peer>& peer : peers_that_run(session, name, op, context, device)) {
    const double error = peer->difference();
    if (!(error <= most)) {
      session.report().wrong.push_back(fmt::format("{} by {}: differs from ours by {:.2g}", name, peer->name(), error));
      continue;
    }
    errors.push_back(error);
    good.push_back(std::move(peer));
  }
  return good;
}

void time_node(Session& session, const OpsOptions& options, const std::string& name, CaseRun& run, std::size_t node,
               const Work& work, double error, DeviceKind device) {
  const RunContext& context = run.executor().context(node);
  const auto ours = [&run, node] { run.executor().run(node, node + 1); };
  std::vector<Timed> things{timed("roap", device, ours)};
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<double> errors{error};
  if (options.peers) {
    ours();
    peers = checked_peers(session, name, *run.graph().nodes()[node].op, context, work.bf16, device, errors);
  }
  for (const auto& peer : peers) things.push_back(timed(peer->name(), device, [&peer] { peer->run(); }));
  const auto seconds = time_in_turns(things, session.options().effort);
  for (std::size_t i = 0; i < things.size(); ++i) {
    Measurement m;
    m.name = name;
    m.implementation = things[i].name;
    m.seconds = seconds[i];
    m.work = work;
    m.floor = floor_seconds(work, session.ceilings(device));
    m.bytes = bytes_of(context, device) + static_cast<double>(run.executor().plan().workspaces[node].bytes);
    m.launches = i == 0 ? 1 : 0;
    m.error = errors[i];
    session.add(std::move(m), device);
  }
}

}  // namespace

void run_op_case(Session& session, const OpsOptions& options, const std::string& op_name, const OpCase& op_case,
                 DeviceKind device) {
  const std::string name = op_name + "/" + op_case.name;
  CaseRun run(op_case, device, {1, false, 0});
  run.executor().start_counting();
  run.run();
  const std::vector<Work> work = run.executor().node_work();
  run.executor().stop_counting();
  Agreement agreement{-1, ""};
  if (options.check) agreement = check(run, op_case, device);
  if (!agreement.problem.empty()) {
    session.report().wrong.push_back(fmt::format("{} on {}: {}", name, to_string(device), agreement.problem));
    return;
  }
  const auto& nodes = run.graph().nodes();
  std::map<std::string_view, int> met;  // one type may be both directions
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const std::string_view type = nodes[n].op->type();
    const int number = ++met[type];
    const std::string node_name = fmt::format("{} {}{}", name, type, number > 1 ? fmt::format(" {}", number) : "");
    time_node(session, options, node_name, run, n, work[n], agreement.error, device);
  }
}

void note_missing_libraries(Session& session) {
  struct Library {
    const char *op, *name, *option;
  };
  for (const Library& library : {Library{"conv2d", "cuDNN", "ROAP_CUDNN"}, {"linear", "cuBLASLt", "ROAP_CUBLASLT"}}) {
    if (find_cuda_library(library.op) != nullptr) continue;
    session.leave_out(fmt::format("{} beside {} on cuda", library.name, library.op),
                      fmt::format("this program was built without it (cmake -D {}=ON)", library.option));
  }
}

void run_ops(Session& session, const OpsOptions& options) {
  bool any = false;
  const auto& devices = session.devices();
  const bool cuda = std::find(devices.begin(), devices.end(), DeviceKind::cuda) != devices.end();
  if (cuda && options.peers) note_missing_libraries(session);
  for (const NamedOperatorTests& op : all_operator_tests()) {
    for (const OpCase& op_case : op.tests.cases) {
      const std::string name = op.name + "/" + op_case.name;
      if (!op_case.performance || name.find(options.filter) == std::string::npos) continue;
      any = true;
      for (const DeviceKind device : session.devices()) {
        if (session.seconds_left() <= 0) {
          session.leave_out(fmt::format("{} on {}", name, to_string(device)), "no time is left (--max-seconds)");
          continue;
        }
        Session::say(fmt::format("{} on {}", name, to_string(device)));
        run_op_case(session, options, op.name, op_case, device);
      }
    }
  }
  if (!any) throw UsageError(fmt::format("--filter {}: no operator/case has that in its name", options.filter));
}

}  // namespace roap::bench
