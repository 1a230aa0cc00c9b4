#include "engine/parameters.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "kernels/common/philox.h"
#include "kernels/common/sizes.h"

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

constexpr std::int64_t kAlignment = 16;  // elements: one cache line of floats

std::int64_t aligned(std::int64_t count) { return round_up(count, kAlignment); }

bool has_dead_taps(const Slot& slot) { return slot.stored_shape().count() < slot.shape.count(); }

/// Calls body(index in the slot's shape, index in memory) for a convolution's weights in memory.
template <class Body>
void for_each_stored(const Slot& slot, Body&& body) {
  const Shape& shape = slot.shape;
  const TapWindow& taps = slot.taps;
  std::size_t stored = 0;
  for (std::int64_t o = 0; o < shape[0]; ++o) {
    for (std::int64_t ky = taps.first_row; ky < taps.first_row + taps.rows; ++ky) {
      for (std::int64_t kx = taps.first_column; kx < taps.first_column + taps.columns; ++kx) {
        for (std::int64_t i = 0; i < shape[1]; ++i) {
          body(static_cast<std::size_t>(((o * shape[1] + i) * shape[2] + ky) * shape[3] + kx), stored++);
        }
      }
    }
  }
}

}  // namespace

Shape Slot::stored_shape() const {
  return taps.count() == 0 ? shape : Shape{shape[0], taps.rows, taps.columns, shape[1]};
}

Slot ParameterStore::declare_in(std::vector<ParameterInfo>& list, std::int64_t& count, Arena arena,
                                const std::string& name, Shape shape, Initializer initializer, const TapWindow& taps) {
  auto& index = arena == Arena::buffers ? buffer_index_ : weight_index_;
  if (const auto found = index.find(name); found != index.end()) {
    const Slot& slot = list[found->second].slot;
    if (slot.shape != shape) {
      throw ShapeError(fmt::format("weight {}: declared as {}, used as {}", name, slot.shape.text(), shape.text()));
    }
    if (slot.taps != taps) {
      throw ShapeError(fmt::format("weight {}: used on maps of two sizes, where different taps meet the image", name));
    }
    return slot;
  }
  if (!arenas_.empty()) throw ShapeError(fmt::format("weight {}: declared after the weights were allocated", name));
  const Slot slot{arena, count, shape, taps};
  index[name] = list.size();
  list.push_back({name, slot, initializer});
  count += aligned(slot.stored_shape().count());
  return slot;
}

Slot ParameterStore::declare(const std::string& name, Shape shape, Initializer initializer, const TapWindow& taps) {
  return declare_in(weights_, weight_count_, Arena::weights, name, shape, initializer, taps);
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

std::vector<float> ParameterStore::read_snapshot(Arena arena) const {
  std::vector<float> values;
  for (const ParameterInfo& info : arena == Arena::buffers ? buffers_ : weights_) {
    Slot slot = info.slot;
    slot.arena = arena;
    const std::vector<float> own = read(slot);
    values.insert(values.end(), own.begin(), own.end());
    values.resize(static_cast<std::size_t>(aligned(static_cast<std::int64_t>(values.size()))));
  }
  return values;
}

void ParameterStore::write_snapshot(Arena arena, std::span<const float> values) {
  const std::vector<ParameterInfo>& list = arena == Arena::buffers ? buffers_ : weights_;
  std::int64_t count = 0;
  for (const ParameterInfo& info : list) count += aligned(info.slot.shape.count());
  expect_extent("weights", "number of values", static_cast<std::int64_t>(values.size()), count);
  for (const ParameterInfo& info : list) {
    Slot slot = info.slot;
    slot.arena = arena;
    write(slot, values.first(static_cast<std::size_t>(slot.shape.count())));
    values = values.subspan(static_cast<std::size_t>(aligned(slot.shape.count())));
  }
}

ParameterSnapshot ParameterStore::snapshot() const {
  return {read_snapshot(Arena::weights), read_snapshot(Arena::moment1), read_snapshot(Arena::moment2),
          read_snapshot(Arena::buffers)};
}

void ParameterStore::restore(const ParameterSnapshot& snapshot) {
  write_snapshot(Arena::weights, snapshot.weights);
  write_snapshot(Arena::moment1, snapshot.moment1);
  write_snapshot(Arena::moment2, snapshot.moment2);
  write_snapshot(Arena::buffers, snapshot.buffers);
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
  return {arena, 0, Shape{arena == Arena::buffers ? buffer_count_ : weight_count_}, {}};
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

template <class T>
std::vector<T> ParameterStore::read_as(const Slot& slot) const {
  std::vector<T> stored(static_cast<std::size_t>(slot.stored_shape().count()));
  read_reals(device_, DType::f32, data(slot), std::span<T>(stored));
  if (slot.taps.count() == 0) return stored;
  std::vector<T> values(static_cast<std::size_t>(slot.shape.count()));
  if (slot.arena == Arena::weights && has_dead_taps(slot)) {
    const auto found = dead_taps_.find(slot.offset);
    if (found != dead_taps_.end()) values.assign(found->second.begin(), found->second.end());
  }
  for_each_stored(slot, [&](std::size_t i, std::size_t in_memory) { values[i] = stored[in_memory]; });
  return values;
}

std::vector<float> ParameterStore::read(const Slot& slot) const { return read_as<float>(slot); }

std::vector<double> ParameterStore::read_f64(const Slot& slot) const { return read_as<double>(slot); }

void ParameterStore::write(const Slot& slot, std::span<const float> values) {
  expect_extent("weights", "number of values", static_cast<std::int64_t>(values.size()), slot.shape.count());
  if (slot.taps.count() == 0) return write_reals(device_, DType::f32, data(slot), values);
  if (slot.arena == Arena::weights && has_dead_taps(slot)) dead_taps_[slot.offset].assign(values.begin(), values.end());
  std::vector<float> stored(static_cast<std::size_t>(slot.stored_shape().count()));
  for_each_stored(slot, [&](std::size_t i, std::size_t in_memory) { stored[in_memory] = values[i]; });
  write_reals(device_, DType::f32, data(slot), std::span<const float>(stored));
}

std::size_t ParameterStore::bytes() const {
  std::size_t bytes = 0;
  for (const DeviceBuffer& arena : arenas_) bytes += arena.size();
  return bytes;
}

}  // namespace roap
