#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "engine/op.h"

// NVIDIA's libraries beside our kernels, to compare them on the same inputs. Operators' folders register those that the
// build has.

namespace roap {

/// One node by a library: the fastest that the library has for the node's sizes.
class LibraryNode {
 public:
  LibraryNode() = default;
  LibraryNode(const LibraryNode&) = delete;
  LibraryNode& operator=(const LibraryNode&) = delete;
  virtual ~LibraryNode() = default;
  [[nodiscard]] virtual std::size_t workspace_bytes() const { return 0; }
  /// Reads the node's own inputs on its stream; `outputs` are like the node's (null where it has none), but other
  /// memory, and are overwritten. `workspace`: device memory of workspace_bytes(), aligned to 256 bytes. Returns before
  /// the work is done.
  virtual void run(const RunContext& node, std::span<void* const> outputs, std::byte* workspace) = 0;
};

struct CudaLibrary {
  std::string_view name;  ///< "cuDNN"
  /// Throws DeviceError where the library cannot do it.
  std::unique_ptr<LibraryNode> (*prepare)(const Op& op, const RunContext& node) = nullptr;
};

/// For nodes of one Op::type().
void register_cuda_library(std::string_view type, CudaLibrary library);
/// Null where none is registered.
const CudaLibrary* find_cuda_library(std::string_view type);

}  // namespace roap
