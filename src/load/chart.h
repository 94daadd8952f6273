// A chart: axes with round numbers, a grid, curves and what they are called.
#pragma once

#include <string>
#include <vector>

#include "load/svg.h"

namespace mill::load {

struct Axis {
  std::string name;
  bool logarithmic = false;  // values must then be above 0; others are left out
};

struct Curve {
  std::string name;
  std::vector<Point> points;  // in the units of the axes, x rising
  bool dashed = false;
  bool marks = false;  // a dot at every point
};

// A bound, drawn as a grey dashed line across.
struct Bound {
  std::string name;
  double value = 0;
  bool on_x = false;
};

struct Chart {
  std::string title;
  Axis x, y;
  std::vector<Curve> curves;
  std::vector<Bound> bounds;
};

struct Box {
  double left = 0, top = 0, width = 0, height = 0;
};

// Draws all of it, words included, within `box`. A chart without points says so.
void draw(Svg& svg, const Chart& chart, Box box);

// The marks of an axis from `low` to `high`: 1, 2 and 5 times powers of ten, about `wanted` of them
// (a logarithmic axis: as many as there are, thinned to powers of ten when too many). At least one.
std::vector<double> marks_between(double low, double high, int wanted, bool logarithmic);

}  // namespace mill::load
