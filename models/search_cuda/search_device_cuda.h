#pragma once

#include <memory>

#include "models/search/search_device.h"

namespace roap::search {

/// A search on the card that use_cuda() chose. DeviceError in builds without CUDA.
std::unique_ptr<SearchDevice> make_cuda_search_device();

}  // namespace roap::search
