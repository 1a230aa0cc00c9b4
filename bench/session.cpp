#include "bench/session.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "engine/cuda/cuda.h"
#include "engine/device.h"
#include "engine/host_clock.h"

namespace roap::bench {

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// "cuda" or "cuda:N"; UsageError for anything else.
int cuda_index(const std::string& device) {
  if (device == "cuda") return 0;
  constexpr std::string_view kNumbered = "cuda:";
  const std::string number = device.starts_with(kNumbered) ? device.substr(kNumbered.size()) : "";
  if (number.empty() || number.size() > 3 || number.find_first_not_of("0123456789") != std::string::npos) {
    throw UsageError(fmt::format("--device {}: expected all, cpu, cuda or cuda:N", device));
  }
  return std::stoi(number);
}

}  // namespace

Session::Session(const std::string& benchmark, const Options& options) : options_(options), started_(now()) {
  if (options.processor_time && (options.threads != 1 || options.device != "cpu")) {
    throw UsageError("--processor-time measures one thread of the CPU: add --threads 1 --device cpu");
  }
  use_host_clock(options.processor_time ? HostClock::processor : HostClock::wall);
  report_ = start_report(benchmark, set_threads(options.threads));
  report_.processor_time = options.processor_time;
  const bool all = options.device == "all";
  if (all || options.device == "cpu") devices_.push_back(DeviceKind::cpu);
  if (all ? !cuda_status().devices.empty() : options.device != "cpu") {
    use_cuda(all ? 0 : cuda_index(options.device));
    devices_.push_back(DeviceKind::cuda);
  }
  for (const DeviceKind device : devices_) {
    report_.ceilings[std::string(to_string(device))] = backend_of(device).ceilings();
  }
}

const Ceilings& Session::ceilings(DeviceKind device) const {
  return report_.ceilings.at(std::string(to_string(device)));
}

double Session::seconds_left() const { return options_.max_seconds - (now() - started_); }

void Session::add(Measurement measurement, DeviceKind device) {
  measurement.benchmark = report_.benchmark;
  measurement.device = to_string(device);
  report_.measurements.push_back(std::move(measurement));
}

void Session::leave_out(const std::string& what, const std::string& why) {
  report_.left_out.push_back(what + ": " + why);
  say("left out: " + report_.left_out.back());
}

void Session::say(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
  std::fflush(stderr);
}

}  // namespace roap::bench
