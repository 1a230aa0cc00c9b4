#pragma once

#include <csignal>

namespace roap::simt {

/// While it lives, faults of a kernel's threads (bad addresses, stack overflow, integer division by zero) end the
/// launch with a report instead of ending the process. Other faults go to the handler that was there before.
class FaultHandler {
 public:
  FaultHandler();
  FaultHandler(const FaultHandler&) = delete;
  ~FaultHandler();
};

}  // namespace roap::simt
