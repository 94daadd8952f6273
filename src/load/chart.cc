#include "load/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace mill::load {
namespace {

// Okabe and Ito's colours, which people with any kind of sight tell apart.
constexpr std::array<std::string_view, 6> kColours = {"#0072B2", "#D55E00", "#009E73",
                                                      "#CC79A7", "#E69F00", "#56B4E9"};
constexpr std::string_view kGrid = "#e3e3e3", kFrame = "#555555", kBoundColour = "#888888";
constexpr double kLeft = 66, kRight = 16, kTop = 50, kBottom = 46;  // for words, in pixels

// From values to pixels along one axis.
struct Scale {
  double low = 0, high = 1;
  bool logarithmic = false;
  double from = 0, to = 1;

  bool takes(double value) const { return std::isfinite(value) && (!logarithmic || value > 0); }
  double place(double value) const {
    const double share =
        logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
    return from + share * (to - from);
  }
};

// The nearest of 1, 2 and 5 times a power of ten that is not above (-1) or not below (+1) `value`.
double round_step(double value, int side) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  constexpr double kSteps[] = {1, 2, 5, 10};
  if (side > 0) {
    for (const double step : kSteps) {
      if (step * power >= value) return step * power;
    }
    return 10 * power;
  }
  double below = power;
  for (const double step : kSteps) {
    if (step * power <= value) below = step * power;
  }
  return below;
}

Scale scale_for(const Chart& chart, bool on_x) {
  Scale scale{.logarithmic = (on_x ? chart.x : chart.y).logarithmic};
  double low = std::numeric_limits<double>::infinity(), high = -low;
  const auto include = [&](double value) {
    if (!scale.takes(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const Curve& curve : chart.curves) {
    for (const Point& point : curve.points) include(on_x ? point.x : point.y);
  }
  for (const Bound& bound : chart.bounds) {
    if (bound.on_x == on_x) include(bound.value);
  }
  if (low > high) low = high = scale.logarithmic ? 1 : 0;
  if (scale.logarithmic) {
    scale.low = round_step(low, -1);
    scale.high = round_step(high, +1);
    if (scale.low == scale.high) scale.high *= 2;
  } else {
    scale.low = std::min(0.0, low);
    scale.high = high > scale.low ? high + 0.05 * (high - scale.low) : scale.low + 1;
  }
  return scale;
}

std::string number(double value) {
  if (std::abs(value) >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (std::abs(value) >= 1e4) return fmt::format("{:g}k", value / 1e3);
  return fmt::format("{:g}", value);
}

void draw_axes(Svg& svg, const Chart& chart, const Scale& x, const Scale& y) {
  for (const double mark : marks_between(x.low, x.high, 7, x.logarithmic)) {
    const double at = x.place(mark);
    svg.line({at, y.from}, {at, y.to}, {.colour = kGrid});
    svg.text({at, y.from + 16}, number(mark), {.size = 11, .anchor = Anchor::kMiddle});
  }
  for (const double mark : marks_between(y.low, y.high, 6, y.logarithmic)) {
    const double at = y.place(mark);
    svg.line({x.from, at}, {x.to, at}, {.colour = kGrid});
    svg.text({x.from - 6, at + 4}, number(mark), {.size = 11, .anchor = Anchor::kEnd});
  }
  svg.path({{x.from, y.to}, {x.from, y.from}, {x.to, y.from}}, {.colour = kFrame});
  svg.text({(x.from + x.to) / 2, y.from + 36}, chart.x.name, {.anchor = Anchor::kMiddle});
  svg.text({x.from - 50, (y.from + y.to) / 2}, chart.y.name,
           {.anchor = Anchor::kMiddle, .upwards = true});
}

void draw_names(Svg& svg, const Chart& chart, Box box) {
  svg.text({box.left + kLeft, box.top + 18}, chart.title, {.size = 14, .bold = true});
  double at = box.left + kLeft;
  for (size_t i = 0; i < chart.curves.size(); ++i) {
    const Curve& curve = chart.curves[i];
    const double y = box.top + 34;
    svg.line({at, y - 4}, {at + 22, y - 4},
             {.colour = kColours[i % kColours.size()], .width = 2, .dashed = curve.dashed});
    svg.text({at + 27, y}, curve.name, {.size = 11});
    at += 27 + 6.4 * static_cast<double>(curve.name.size()) + 16;
  }
}

void draw_bounds(Svg& svg, const Chart& chart, const Scale& x, const Scale& y) {
  for (const Bound& bound : chart.bounds) {
    if (!(bound.on_x ? x : y).takes(bound.value)) continue;
    const Stroke stroke{.colour = kBoundColour, .width = 1.2, .dashed = true};
    if (bound.on_x) {
      const double at = x.place(bound.value);
      svg.line({at, y.from}, {at, y.to}, stroke);
      svg.text({at - 4, y.to + 12}, bound.name,
               {.size = 10, .anchor = Anchor::kEnd, .colour = kBoundColour});
    } else {
      const double at = y.place(bound.value);
      svg.line({x.from, at}, {x.to, at}, stroke);
      svg.text({x.to - 4, at - 4}, bound.name,
               {.size = 10, .anchor = Anchor::kEnd, .colour = kBoundColour});
    }
  }
}

}  // namespace

std::vector<double> marks_between(double low, double high, int wanted, bool logarithmic) {
  std::vector<double> marks;
  if (logarithmic) {
    const int first = static_cast<int>(std::floor(std::log10(low)));
    const int last = static_cast<int>(std::ceil(std::log10(high)));
    const bool thin = last - first > 4;
    const int every = std::max(1, (last - first) / 8);
    for (int power = first; power <= last; power += thin ? every : 1) {
      for (const double step : {1.0, 2.0, 5.0}) {
        const double mark = step * std::pow(10, power);
        if (mark >= low && mark <= high && (step == 1 || !thin)) marks.push_back(mark);
      }
    }
  } else {
    const double raw = (high - low) / wanted;
    const double power = std::pow(10, std::floor(std::log10(raw)));
    double step = 10 * power;
    for (const double factor : {5.0, 2.0, 1.0}) {
      if (factor * power >= raw) step = factor * power;
    }
    const auto first = static_cast<int64_t>(std::ceil(low / step));
    const auto last = static_cast<int64_t>(std::floor(high / step));
    for (int64_t i = first; i <= last; ++i) marks.push_back(static_cast<double>(i) * step);
  }
  if (marks.empty()) marks.push_back(low);
  return marks;
}

void draw(Svg& svg, const Chart& chart, Box box) {
  Scale x = scale_for(chart, true), y = scale_for(chart, false);
  x.from = box.left + kLeft;
  x.to = box.left + box.width - kRight;
  y.from = box.top + box.height - kBottom;
  y.to = box.top + kTop;
  draw_names(svg, chart, box);
  draw_axes(svg, chart, x, y);
  draw_bounds(svg, chart, x, y);
  bool any = false;
  for (size_t i = 0; i < chart.curves.size(); ++i) {
    const Curve& curve = chart.curves[i];
    const std::string_view colour = kColours[i % kColours.size()];
    std::vector<Point> places;
    for (const Point& point : curve.points) {
      if (x.takes(point.x) && y.takes(point.y))
        places.push_back({x.place(point.x), y.place(point.y)});
    }
    svg.path(places, {.colour = colour, .width = 2, .dashed = curve.dashed});
    if (curve.marks) {
      for (const Point& place : places) svg.dot(place, 3, colour);
    }
    any = any || !places.empty();
  }
  if (!any) {
    svg.text({(x.from + x.to) / 2, (y.from + y.to) / 2}, "nothing was measured",
             {.anchor = Anchor::kMiddle, .colour = kBoundColour});
  }
}

}  // namespace mill::load
