#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "models/programs/expression.h"

namespace roap::programs {

/// One line: op over two earlier values. Values 0..V-1 are the symbols, value V+l is the result of line l (0-based).
struct ProgramLine {
  Operator op = Operator::noop;
  int left = 0;
  int right = 0;
  bool operator==(const ProgramLine&) const = default;
};

/// A straight-line program over V symbols; its output is the last line.
struct StraightLineProgram {
  int variables = 0;
  std::vector<ProgramLine> lines;

  [[nodiscard]] Expression to_expression() const;
  /// The lines that the output depends on, one a row, with values numbered from 1 as v{V+1}.. and no-ops replaced by
  /// their argument; the last row names the output: "v4 = s1 + s2\nv7 = v4 * s3\noutput v7\n".
  [[nodiscard]] std::string print_lines() const;
};

/// A complete binary tree: operators of the 2^D-1 inner nodes breadth first, and the symbols (0-based) of its 2^D
/// leaves.
struct TreeProgram {
  int variables = 0;
  std::vector<Operator> operators;
  std::vector<int> leaves;

  [[nodiscard]] Expression to_expression() const;
};

/// Logits of a straight-line sketch with L lines: operators [L,4], then the left arguments ragged by line (line l has
/// V+l entries), then the right arguments likewise.
std::size_t straight_line_logit_count(int variables, int lines);

/// Logits of a tree sketch of depth D: operators [2^D-1,4] breadth first, then leaves [2^D,V].
std::size_t tree_logit_count(int variables, int depth);

/// The most likely program. The first of equal logits wins, NaN never wins, and a choice all of whose logits are NaN is
/// its first entry. Throws ShapeError when the size of `logits` is not straight_line_logit_count(variables, lines).
StraightLineProgram decode_straight_line(std::span<const float> logits, int variables, int lines);

/// As decode_straight_line(), for tree_logit_count(variables, depth) logits of a tree sketch.
TreeProgram decode_tree(std::span<const float> logits, int variables, int depth);

}  // namespace roap::programs
