#include "engine/cuda_library.h"

#include <map>
#include <string>

namespace roap {

namespace {

std::map<std::string, CudaLibrary, std::less<>>& libraries() {
  static std::map<std::string, CudaLibrary, std::less<>> by_type;
  return by_type;
}

}  // namespace

void register_cuda_library(std::string_view type, CudaLibrary library) { libraries()[std::string(type)] = library; }

const CudaLibrary* find_cuda_library(std::string_view type) {
  const auto found = libraries().find(type);
  return found == libraries().end() ? nullptr : &found->second;
}

}  // namespace roap
