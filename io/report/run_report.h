#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/image_file.h"
#include "io/report/chart.h"
#include "io/report/run_record.h"

namespace roap::io {

/// One pair of the test set as a model sees it.
struct GalleryItem {
  struct Part {
    Image image;
    std::optional<int> level{};  ///< k in 1..10 behind the image, where it is known
    double symbol = 0;           ///< the grounder's number
  };
  std::vector<Part> parts;
  std::size_t task = 0;
  std::string formula;
  double y = 0, prediction = 0;
};

/// What only the weights of a run can tell. Where they cannot be had, `problem` says why and the rest is empty.
struct RunMeasurements {
  std::string problem;
  std::int64_t step = 0;     ///< of the checkpoint
  bool levels_known = true;  ///< else there are no points to draw
  std::vector<SymbolPoint> train, test;
  std::vector<GalleryItem> gallery;
  nlohmann::json programs;  ///< rows as in programs.json, where that is not there yet
};

struct ReportedRun {
  RunRecord record;
  RunMeasurements measurements;
};

// The building blocks; a report is a sequence of them.

/// Learning curves of several runs over each other: loss, error, solved tasks, symbolic loss, lengths and the schedule.
Html curves(const std::vector<const RunRecord*>& runs);
/// Metrics of the runs side by side, "not measured" where a run has none.
Html metrics_table(const std::vector<const RunRecord*>& runs);
/// Scatter and confusion of a run's symbols, or why there are none.
Html symbols_block(const RunMeasurements& measurements);
/// Learned beside hidden formulas with their verdict, filterable. `programs` are rows of programs.json, or null.
Html tasks_table(const nlohmann::json& programs);
Html gallery_block(const RunMeasurements& measurements);
/// Command, configuration and machine.
Html environment_block(const RunRecord& record);
/// `body` under a heading that the page's navigation can point to.
Html section(const std::string& id, std::string_view heading, const Html& body);

/// The whole page for ordinary runs.
std::string run_report(const std::string& title, const std::vector<ReportedRun>& runs);

}  // namespace roap::io
