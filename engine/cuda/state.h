#pragma once

#include <span>

#include "engine/backend.h"
#include "engine/device.h"
#include "engine/op.h"

// What nodes keep on the device between runs beside their workspace, which other nodes use too.

namespace roap::cuda {

/// Scratch memory, and counters for kernels/common/last_block.cuh, which are zero between launches.
class CounterState : public WorkspaceState {
 public:
  CounterState(std::size_t workspace_bytes, std::size_t counters)
      : WorkspaceState(workspace_bytes), counters_(DeviceKind::cuda, counters * sizeof(unsigned)) {}
  [[nodiscard]] unsigned* counters() const { return reinterpret_cast<unsigned*>(counters_.data()); }

 private:
  DeviceBuffer counters_;
};

/// A table of numbers that kernels read.
class TableState : public OpState {
 public:
  explicit TableState(std::span<const int> values) : values_(DeviceKind::cuda, values.size_bytes()) {
    backend_of(DeviceKind::cuda).upload(values_.data(), values.data(), values.size_bytes());
  }
  [[nodiscard]] const int* values() const { return reinterpret_cast<const int*>(values_.data()); }

 private:
  DeviceBuffer values_;
};

}  // namespace roap::cuda
