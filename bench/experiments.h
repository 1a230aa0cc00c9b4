#pragma once

#include "io/experiment.h"

namespace roap::bench {

/// The experiment of a config. Where its source is a folder that is not there, images of noise of CIFAR-10's size and
/// number take its place: sizes decide how long a step takes, not what is to be seen.
io::Experiment load_or_imitate(const io::Config& config);

}  // namespace roap::bench
