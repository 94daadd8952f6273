// A drawing in SVG 1.1: lines, boxes and words at places in pixels, from the top left.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mill::load {

struct Point {
  double x = 0, y = 0;
};

struct Stroke {
  std::string_view colour = "#000000";
  double width = 1;
  bool dashed = false;
};

enum class Anchor { kStart, kMiddle, kEnd };

struct Lettering {
  double size = 12;
  Anchor anchor = Anchor::kStart;
  std::string_view colour = "#222222";
  bool bold = false;
  bool upwards = false;  // turned by a quarter, for the name of a vertical axis
};

class Svg {
 public:
  Svg(double width, double height);

  void line(Point from, Point to, Stroke stroke);
  void path(const std::vector<Point>& points, Stroke stroke);
  void dot(Point centre, double radius, std::string_view colour);
  void text(Point at, std::string_view words, Lettering lettering = {});

  // The whole file.
  std::string finish() const;

 private:
  double width_, height_;
  std::string body_;
};

// With & < > " and ' written as XML wants them; what XML 1.0 has no place for (control bytes, bytes
// that are not UTF-8) becomes '?'.
std::string escape_xml(std::string_view text);

}  // namespace mill::load
