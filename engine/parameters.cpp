#include "engine/parameters.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "kernels/common/philox.h"

namespace roap {

namespace {

/// FNV-1a: gives each weight its own random numbers, whatever else the model holds.
std::uint64_t hash_name(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::vector<float> initial_values(const ParameterInfo& info, std::uint64_t seed, std::uint64_t run) {
  const Initializer& init = info.initializer;
  std::vector<float> values(static_cast<std::size_t>(info.slot.shape.count()), static_cast<float>(init.a));
  if (init.kind == Initializer::Kind::constant) return values;
  const RandomKey key = random_key(seed, RandomStream::initialization, run);
  const std::uint64_t base = hash_name(info.name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Philox4 bits = philox(key, base + i);
    const double u = open_uniform(bits.x[0]);
    if (init.kind == Initializer::Kind::uniform) {
      values[i] = static_cast<float>(init.a + (init.b - init.a) * u);
    } else {  // Box-Muller
      const double radius = std::sqrt(-2 * std::log(u));
      values[i] =
          static_cast<float>(init.a + init.b * radius * std::cos(2 * std::numbers::pi * open_uniform(bits.x[1])));
    }
  }
  return values;
}

}  // namespace

Slot ParameterStore::declare_in(std::vector<ParameterInfo>& list, std::int64_t& count, Arena arena,
                                const std::string& name, Shape shape, Initializer initializer) {
  auto& index = arena == Arena::buffers ? buffer_index_ : weight_index_;
  if (const auto found = index.find(name); found != index.end()) {
    const Slot& slot = list[found->second].slot;
    if (slot.shape != shape) {
      throw ShapeError(fmt::format("weight {}: declared as {}, used as {}", name, slot.shape.text(), shape.text()));
    }
    return slot;
  }
  if (!arenas_.empty()) throw ShapeError(fmt::format("weight {}: declared after the weights were allocated", name));
  constexpr std::int64_t kAlignment = 16;  // elements: one cache line of floats
  const Slot slot{arena, count, shape};
  index[name] = list.size();
  list.push_back({name, slot, initializer});
  count += (shape.count() + kAlignment - 1) / kAlignment * kAlignment;
  return slot;
}

Slot ParameterStore::declare(const std::string& name, Shape shape, Initializer initializer) {
  return declare_in(weights_, weight_count_, Arena::weights, name, shape, initializer);
}

Slot ParameterStore::declare_buffer(const std::string& name, Shape shape, Initializer initializer) {
  return declare_in(buffers_, buffer_count_, Arena::buffers, name, shape, initializer);
}

void ParameterStore::allocate() {
  arenas_.clear();
  for (int arena = 0; arena < kArenas; ++arena) {
    const std::int64_t count = static_cast<Arena>(arena) == Arena::buffers ? buffer_count_ : weight_count_;
    arenas_.emplace_back(device_, static_cast<std::size_t>(count) * element_size(device_, DType::f32));
  }
}

void ParameterStore::initialize(std::uint64_t seed) {
  allocate();
  set_initial(seed, 0);
}

void ParameterStore::set_initial(std::uint64_t seed, std::uint64_t run) {
  for (const auto* list : {&weights_, &buffers_}) {
    for (const ParameterInfo& info : *list) write(info.slot, initial_values(info, seed, run));
  }
}

void ParameterStore::restart(std::uint64_t seed, std::uint64_t run) {
  const std::vector<float> zeros(static_cast<std::size_t>(weight_count_), 0.0F);
  for (const Arena arena : {Arena::moment1, Arena::moment2}) write(all(arena), zeros);
  set_initial(seed, run);
}

ParameterSnapshot ParameterStore::snapshot() const {
  return {read(all(Arena::weights)), read(all(Arena::moment1)), read(all(Arena::moment2)), read(all(Arena::buffers))};
}

void ParameterStore::restore(const ParameterSnapshot& snapshot) {
  write(all(Arena::weights), snapshot.weights);
  write(all(Arena::moment1), snapshot.moment1);
  write(all(Arena::moment2), snapshot.moment2);
  write(all(Arena::buffers), snapshot.buffers);
}

Slot ParameterStore::slot(const std::string& name, Arena arena) const {
  const bool buffer = arena == Arena::buffers;
  const auto& index = buffer ? buffer_index_ : weight_index_;
  const auto found = index.find(name);
  if (found == index.end())
    throw UsageError(fmt::format("the model has no {} named {}", buffer ? "buffer" : "weight", name));
  Slot slot = (buffer ? buffers_ : weights_)[found->second].slot;
  slot.arena = arena;
  return slot;
}

Slot ParameterStore::all(Arena arena) const {
  return {arena, 0, Shape{arena == Arena::buffers ? buffer_count_ : weight_count_}};
}

std::int64_t ParameterStore::first_offset_after(const std::string& prefix) const {
  for (const ParameterInfo& info : weights_) {
    if (!info.name.starts_with(prefix)) return info.slot.offset;
  }
  return weight_count_;
}

std::int64_t ParameterStore::parameter_count() const {
  std::int64_t count = 0;
  for (const ParameterInfo& info : weights_) count += info.slot.shape.count();
  return count;
}

void* ParameterStore::data(const Slot& slot) const {
  if (arenas_.empty()) throw ShapeError("the weights are used before they were allocated");
  return arenas_[static_cast<std::size_t>(slot.arena)].data() +
         static_cast<std::size_t>(slot.offset) * element_size(device_, DType::f32);
}

std::vector<float> ParameterStore::read(const Slot& slot) const {
  std::vector<float> values(static_cast<std::size_t>(slot.shape.count()));
  read_reals(device_, DType::f32, data(slot), std::span<float>(values));
  return values;
}

std::vector<double> ParameterStore::read_f64(const Slot& slot) const {
  std::vector<double> values(static_cast<std::size_t>(slot.shape.count()));
  read_reals(device_, DType::f32, data(slot), std::span<double>(values));
  return values;
}

void ParameterStore::write(const Slot& slot, std::span<const float> values) {
  expect_extent("weights", "number of values", static_cast<std::int64_t>(values.size()), slot.shape.count());
  write_reals(device_, DType::f32, data(slot), values);
}

std::size_t ParameterStore::bytes() const {
  std::size_t bytes = 0;
  for (const DeviceBuffer& arena : arenas_) bytes += arena.size();
  return bytes;
}

}  // namespace roap
