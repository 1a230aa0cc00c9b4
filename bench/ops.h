#pragma once

#include <string>
#include <vector>

#include "bench/session.h"
#include "tests/ops/op_case.h"

namespace roap::bench {

struct OpsOptions {
  std::string filter;  ///< part of "operator/case"; empty: all
  bool check = true;   ///< compare outputs with the reference before timing
  bool peers = true;   ///< time other implementations in turn with ours
};

/// Times the performance cases of all operators, forward and backward, on every device of the session. An output that
/// is wrong is refused: it goes to the report's `wrong` and is not timed.
void run_ops(Session& session, const OpsOptions& options);
/// Notes which of NVIDIA's libraries this build cannot be compared with.
void note_missing_libraries(Session& session);
/// One case of an operator.
void run_op_case(Session& session, const OpsOptions& options, const std::string& op_name, const OpCase& op_case,
                 DeviceKind device);

}  // namespace roap::bench
