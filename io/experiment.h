#pragma once

#include <optional>
#include <string>

#include "io/config.h"
#include "io/image_table.h"
#include "models/data/benchmark.h"
#include "models/search/formula_pool.h"

namespace roap::io {

/// Everything that a config names outside the model: the formula pool, the images and the tasks drawn from the pool.
struct Experiment {
  search::FormulaPool pool;
  Benchmark benchmark;
};

/// The tasks that a run trains on, or others of the same pool, as many as there are but no more than those.
enum class TaskSet { own, unseen };

/// A config and, where its data.source is table:FILE.csv, the table.
struct OpenedConfig {
  Config config;
  std::optional<ImageTable> table{};
};

/// Reads the table that `config.data.source` may name, but no image. It decides tasks.count and tasks.symbols.
/// DataError as read_image_table.
OpenedConfig open_data(Config config);

/// Loads the data of `config.data.source` and draws the tasks. `data_override` (a --data argument) replaces the source
/// unless empty. DataError for missing or damaged files, UsageError for a source that is none or where no task is
/// unseen.
Experiment load_experiment(const Config& config, const std::string& data_override = "",
                           TaskSet task_set = TaskSet::own);
/// The same for a config and the table, if any, that open_data found with it; frees the table.
Experiment load_experiment(const Config& config, std::optional<ImageTable> table);

}  // namespace roap::io
