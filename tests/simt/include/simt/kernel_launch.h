#pragma once

#include <functional>
#include <memory>
#include <tuple>
#include <utility>

#include "tests/simt/include/simt/runtime_types.h"

// The launch of a kernel with arguments: they are kept by value, as long as a graph may need them.

namespace roap::simt {

/// Runs `thread` once for each thread of the launch, or records that when the stream is being captured.
cudaError_t launch_kernel(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> thread);

}  // namespace roap::simt

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  auto values = std::make_shared<std::tuple<Parameters...>>(std::forward<Arguments>(arguments)...);
  return roap::simt::launch_kernel(*config, reinterpret_cast<const void*>(kernel),
                                   [kernel, values = std::move(values)] { std::apply(kernel, *values); });
}
