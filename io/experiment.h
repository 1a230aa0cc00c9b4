#pragma once

#include "io/config.h"
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

/// Settings that the data decide: tasks.count and tasks.symbols of table:FILE.csv. DataError as read_image_table.
std::vector<std::string> data_settings(const Config& config);

/// Loads the data of `config.data.source` and draws the tasks. `data_override` (a --data argument) replaces the source
/// unless empty. DataError for missing or damaged files, UsageError for a source that is none or where no task is
/// unseen.
Experiment load_experiment(const Config& config, const std::string& data_override = "",
                           TaskSet task_set = TaskSet::own);

}  // namespace roap::io
