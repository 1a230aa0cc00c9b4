#include "models/programs/discrete_program.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "kernels/common/error.h"

namespace roap::programs {
namespace {

/// Beyond this depth a tree's logits no longer fit in memory.
constexpr int kLargestDepth = 20;

/// Index of the largest logit by the rules of decode_straight_line().
int argmax(std::span<const float> logits) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(logits.size()); ++i) {
    if (std::isnan(logits[i])) continue;
    if (best < 0 || logits[i] > logits[best]) best = i;
  }
  return best < 0 ? 0 : best;
}

/// Reads a block of logits one categorical choice after the other.
class ChoiceReader {
 public:
  ChoiceReader(std::span<const float> logits, std::size_t expected, std::string_view sketch) : logits_(logits) {
    if (logits.size() != expected) {
      throw ShapeError(fmt::format("{} needs {} logits to decode, got {}", sketch, expected, logits.size()));
    }
  }

  int next(int entries) {
    const int choice = argmax(logits_.first(entries));
    logits_ = logits_.subspan(entries);
    return choice;
  }

  Operator next_operator() { return static_cast<Operator>(next(kOperators)); }

 private:
  std::span<const float> logits_;
};

void check_sketch(int variables, int size, int smallest, int largest, std::string_view what) {
  if (variables >= 1 && size >= smallest && size <= largest) return;
  throw ShapeError(
      fmt::format("a program sketch with {} variables and {} {}: needs at least 1 variable and {} to {} {}", variables,
                  size, what, smallest, largest, what));
}

}  // namespace

std::size_t straight_line_logit_count(int variables, int lines) {
  check_sketch(variables, lines, 1, 1 << 15, "lines");
  const std::size_t v = variables;
  const std::size_t l = lines;
  const std::size_t arguments = l * v + l * (l - 1) / 2;
  return l * kOperators + 2 * arguments;
}

std::size_t tree_logit_count(int variables, int depth) {
  check_sketch(variables, depth, 0, kLargestDepth, "levels");
  const std::size_t leaves = std::size_t{1} << depth;
  return (leaves - 1) * kOperators + leaves * static_cast<std::size_t>(variables);
}

StraightLineProgram decode_straight_line(std::span<const float> logits, int variables, int lines) {
  ChoiceReader reader(logits, straight_line_logit_count(variables, lines),
                      fmt::format("a straight-line sketch of {} lines over {} variables", lines, variables));
  StraightLineProgram program{variables, std::vector<ProgramLine>(lines)};
  for (ProgramLine& line : program.lines) line.op = reader.next_operator();
  for (int l = 0; l < lines; ++l) program.lines[l].left = reader.next(variables + l);
  for (int l = 0; l < lines; ++l) program.lines[l].right = reader.next(variables + l);
  return program;
}

TreeProgram decode_tree(std::span<const float> logits, int variables, int depth) {
  ChoiceReader reader(logits, tree_logit_count(variables, depth),
                      fmt::format("a tree sketch of depth {} over {} variables", depth, variables));
  const std::size_t leaves = std::size_t{1} << depth;
  TreeProgram program{variables, std::vector<Operator>(leaves - 1), std::vector<int>(leaves)};
  for (Operator& op : program.operators) op = reader.next_operator();
  for (int& leaf : program.leaves) leaf = reader.next(variables);
  return program;
}

Expression StraightLineProgram::to_expression() const {
  std::vector<Node> nodes;
  for (int variable = 0; variable < variables; ++variable) nodes.push_back(Node::leaf(variable));
  for (const ProgramLine& line : lines) nodes.push_back(Node::inner(line.op, line.left, line.right));
  return {variables, nodes};
}

Expression TreeProgram::to_expression() const {
  const int inner = static_cast<int>(operators.size());
  const int total = inner + static_cast<int>(leaves.size());
  // Breadth first, inner node i has the children 2i+1 and 2i+2; reversing the order puts arguments before their
  // operator.
  const auto position = [total](int breadth_first) { return total - 1 - breadth_first; };
  std::vector<Node> nodes;
  for (int i = total - 1; i >= 0; --i) {
    nodes.push_back(i >= inner ? Node::leaf(leaves[i - inner])
                               : Node::inner(operators[i], position(2 * i + 1), position(2 * i + 2)));
  }
  return {variables, nodes};
}

std::string StraightLineProgram::print_lines() const {
  (void)to_expression();  // throws when an argument is out of range
  const int values = variables + static_cast<int>(lines.size());
  std::vector<int> same_as(values);
  for (int value = 0; value < values; ++value) {
    const bool noop = value >= variables && lines[value - variables].op == Operator::noop;
    same_as[value] = noop ? same_as[lines[value - variables].left] : value;
  }
  std::vector<bool> live(values, false);
  live[same_as.back()] = true;
  for (int value = values - 1; value >= variables; --value) {
    if (!live[value]) continue;
    live[same_as[lines[value - variables].left]] = true;
    live[same_as[lines[value - variables].right]] = true;
  }
  const auto name = [&](int value) {
    return fmt::format("{}{}", same_as[value] < variables ? 's' : 'v', same_as[value] + 1);
  };
  std::string text;
  for (int value = variables; value < values; ++value) {
    if (!live[value]) continue;
    const ProgramLine& line = lines[value - variables];
    text += fmt::format("{} = {}{}{}\n", name(value), name(line.left), infix(line.op), name(line.right));
  }
  return text + fmt::format("output {}\n", name(values - 1));
}

}  // namespace roap::programs
