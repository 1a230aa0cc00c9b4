#include "engine/op.h"

#include <fmt/format.h>

#include <map>
#include <string>

namespace roap {

namespace {
template <class Entry>
using Table = std::map<std::string, Entry, std::less<>>;

/// The one table of that kind, by Op::type().
template <class Entry>
Table<Entry>& table() {
  static Table<Entry> entries;
  return entries;
}

template <class Entry>
const Entry* find_in_table(std::string_view type) {
  const auto found = table<Entry>().find(type);
  return found == table<Entry>().end() ? nullptr : &found->second;
}
}  // namespace

std::string_view to_string(DeviceKind device) {
  switch (device) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::cuda:
      return "cuda";
    case DeviceKind::reference_f32:
      return "reference-f32";
    case DeviceKind::reference_f64:
      return "reference-f64";
  }
  return "?";
}

void Op::gradient(GradientContext& /*context*/) const {
  throw ShapeError(fmt::format("[{}] has no gradient, but one of its inputs needs it", type()));
}

void register_cuda(std::string_view type, CudaImplementation implementation) {
  table<CudaImplementation>()[std::string(type)] = implementation;
}

const CudaImplementation* find_cuda(std::string_view type) { return find_in_table<CudaImplementation>(type); }

void register_reference(std::string_view type, Reference reference) {
  table<Reference>()[std::string(type)] = reference;
}

const Reference* find_reference(std::string_view type) { return find_in_table<Reference>(type); }

}  // namespace roap
