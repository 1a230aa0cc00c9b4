#pragma once

namespace roap {

/// What the host's clock counts: time as it passes, or the processor time of all threads of this process. The latter is
/// for measuring one thread where other programs run: it leaves out the time for which they had the processor.
enum class HostClock { wall, processor };

/// Chooses it for the whole process; wall at first. Not while something is being measured.
void use_host_clock(HostClock clock);
/// Seconds since some fixed moment.
double host_seconds();

}  // namespace roap
