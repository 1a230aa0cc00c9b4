#include "engine/host_clock.h"

#include <ctime>

namespace roap {

namespace {
clockid_t clock_id = CLOCK_MONOTONIC;
}  // namespace

void use_host_clock(HostClock clock) {
  clock_id = clock == HostClock::processor ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
}

double host_seconds() {
  constexpr double kNanosecond = 1e-9;
  std::timespec now{};
  clock_gettime(clock_id, &now);
  return static_cast<double>(now.tv_sec) + kNanosecond * static_cast<double>(now.tv_nsec);
}

}  // namespace roap
