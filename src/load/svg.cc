#include "load/svg.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace mill::load {
namespace {

// How many bytes the UTF-8 character at the beginning of `text` has; 0: it is none that XML takes.
size_t character_size(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return first >= ' ' && first != 0x7F ? 1 : 0;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90) ||
      (first == 0xF4 && byte(1) > 0x8F) || (first == 0xED && byte(1) > 0x9F)) {
    return 0;
  }
  if (first == 0xEF && byte(1) == 0xBF && byte(2) >= 0xBE) return 0;  // U+FFFE, U+FFFF
  return size;
}

// Drawing programs choke on "nan" and "inf".
double drawable(double place) {
  return std::isfinite(place) ? place : 0;
}

std::string style_of(const Stroke& stroke) {
  return fmt::format(R"(fill="none" stroke="{}" stroke-width="{:g}"{})", stroke.colour,
                     stroke.width, stroke.dashed ? R"( stroke-dasharray="5 4")" : "");
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = character_size(text);
    const std::string_view one = text.substr(0, std::max<size_t>(size, 1));
    text.remove_prefix(one.size());
    if (size == 0) {
      out += '?';
    } else if (one == "&") {
      out += "&amp;";
    } else if (one == "<") {
      out += "&lt;";
    } else if (one == ">") {
      out += "&gt;";
    } else if (one == "\"") {
      out += "&quot;";
    } else if (one == "'") {
      out += "&#39;";
    } else {
      out += one;
    }
  }
  return out;
}

Svg::Svg(double width, double height) : width_(width), height_(height) {}

void Svg::line(Point from, Point to, Stroke stroke) {
  fmt::format_to(std::back_inserter(body_),
                 "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n",
                 drawable(from.x), drawable(from.y), drawable(to.x), drawable(to.y),
                 style_of(stroke));
}

void Svg::path(const std::vector<Point>& points, Stroke stroke) {
  if (points.empty()) return;
  body_ += "<polyline points=\"";
  for (const Point& point : points) {
    fmt::format_to(std::back_inserter(body_), "{:.1f},{:.1f} ", drawable(point.x),
                   drawable(point.y));
  }
  body_.back() = '"';
  fmt::format_to(std::back_inserter(body_), " stroke-linejoin=\"round\" {}/>\n", style_of(stroke));
}

void Svg::dot(Point centre, double radius, std::string_view colour) {
  fmt::format_to(std::back_inserter(body_),
                 "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\" fill=\"{}\"/>\n",
                 drawable(centre.x), drawable(centre.y), radius, colour);
}

void Svg::text(Point at, std::string_view words, Lettering lettering) {
  constexpr std::string_view kAnchors[] = {"start", "middle", "end"};
  const double x = drawable(at.x), y = drawable(at.y);
  fmt::format_to(
      std::back_inserter(body_),
      "<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:g}\" text-anchor=\"{}\" "
      "fill=\"{}\"{}{}>{}</text>\n",
      x, y, lettering.size, kAnchors[static_cast<size_t>(lettering.anchor)], lettering.colour,
      lettering.bold ? " font-weight=\"bold\"" : "",
      lettering.upwards ? fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", x, y) : "",
      escape_xml(words));
}

std::string Svg::finish() const {
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" "
      "viewBox=\"0 0 {0:g} {1:g}\" font-family=\"sans-serif\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{2}</svg>\n",
      width_, height_, body_);
}

}  // namespace mill::load
