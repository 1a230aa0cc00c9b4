#pragma once

#include "io/labelled_images.h"

namespace roap::io {

/// The handwritten digits built into the program: 1797 grey images of 8 x 8 pixels, their 17 levels spread over 0..255.
/// A fixed permutation makes 1400 of them the training set and 397 the test set.
TrainTestImages load_digits();

}  // namespace roap::io
