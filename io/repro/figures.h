#pragma once

#include "io/repro/results.h"

namespace roap::io {

/// Solved tasks by operators of the hidden formula (rows) and lines of the sketch (columns), each of the best run.
void fill_figure5(StudyResult& result);
/// Pairs every run with its branch and says what kind of run it is.
void fill_figure6(StudyResult& result);

}  // namespace roap::io
