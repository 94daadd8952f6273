#!/usr/bin/env python3
"""Draws where the steps of tokenmill stand below the two roofs of the machine, as an SVG.

Reads what table.py saved, or files with the output of `tokenmill bench --json`. Across: multiply-adds
for each byte of weights that a step reads; up: multiply-adds per second. The roofs are the read
bandwidth and the int8 rate that the same runs measured (the medians, and how far apart they were).
A point is the median of the rounds: its rate as measured, its place across from its batch and the
bytes of the packed weights.

  roofline.py docs/roofline.svg table.json
  roofline.py docs/roofline.svg a.json b.json ...
"""

import argparse
import json
import math
import pathlib
import statistics

WIDTH, HEIGHT = 860, 560
LEFT, RIGHT, TOP, BOTTOM = 78, 220, 62, 60
# Okabe and Ito's colours, which people with any kind of sight tell apart.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
PHASES = ["batch 1", "batch 8", "batch 16", "batch 32", "prefill"]
NAMES = {"smollm2": "smollm2 Q4_1", "smollm2-q4_0": "smollm2 Q4_0", "smollm2-q8_0": "smollm2 Q8_0"}


def reports(paths):
    """[(file, report)] of tokenmill's runs at short contexts."""
    for path in paths:
        content = json.loads(path.read_text())
        if "runs" not in content:
            yield content["model"], content
        for run in content.get("runs", []):
            if run["side"] == "tokenmill" and run["shape"] == "short":
                yield run["file"], run["report"]


def points_of(report):
    """{phase: (multiply-adds per byte, multiply-adds per second)}"""
    points = {}
    for row in report["prefill"] + report["decode"]:
        phase = f"batch {row['batch']}" if "batch" in row else "prefill"
        of = "prompt" if phase == "prefill" else "int8"
        macs = row["peak_share"] * report[f"{of}_macs_per_second"]
        read = row["bandwidth_share"] * report["read_bytes_per_second"]
        points[phase] = (macs / read, macs)
    return points


def gather(paths):
    """({file: {phase: median point}}, read rates, int8 rates)"""
    seen, reads, rates = {}, [], []
    for file, report in reports(paths):
        reads.append(report["read_bytes_per_second"])
        rates.append(report["int8_macs_per_second"])
        for phase, point in points_of(report).items():
            seen.setdefault(file, {}).setdefault(phase, []).append(point)
    middle = {
        file: {
            phase: tuple(statistics.median(values) for values in zip(*points))
            for phase, points in phases.items()
        }
        for file, phases in seen.items()
    }
    return middle, reads, rates


class Drawing:
    """Log-log axes and what stands on them; x and y in their own units."""

    def __init__(self, x, y):
        self.x, self.y, self.parts = x, y, []

    def at(self, x, y):
        across = math.log(x / self.x[0]) / math.log(self.x[1] / self.x[0])
        up = math.log(y / self.y[0]) / math.log(self.y[1] / self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, a, b, colour, width=1.0, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"{dash}/>'
        )

    def path(self, points, colour):
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="1.2" opacity="0.6"/>'
        )

    def text(self, at, words, size=12, anchor="start", turn=0.0, bold=False, colour="#222222"):
        turned = f' transform="rotate({turn:.1f} {at[0]:.1f} {at[1]:.1f})"' if turn else ""
        weight = ' font-weight="bold"' if bold else ""
        words = words.replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}"{weight}{turned}>{words}</text>'
        )

    def mark(self, at, phase, colour):
        """A shape for each phase: circle, triangle, square, diamond, star."""
        x, y = at
        if phase == "batch 1":
            shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"'
        else:
            corners = {
                "batch 8": [(0, -6), (5.5, 4.5), (-5.5, 4.5)],
                "batch 16": [(-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)],
                "batch 32": [(0, -6.5), (6, 0), (0, 6.5), (-6, 0)],
            }.get(phase) or [
                (r * math.sin(i * math.pi / 5), -r * math.cos(i * math.pi / 5))
                for i in range(10)
                for r in [7.5 if i % 2 == 0 else 3.2]
            ]
            places = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
            shape = f'<polygon points="{places}"'
        self.parts.append(f'{shape} fill="{colour}" stroke="#ffffff" stroke-width="0.8"/>')

    def finish(self):
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="DejaVu Sans, Verdana, sans-serif">\n'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def marks(low, high):
    """1, 2 and 5 times powers of ten within the bounds."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [step * 10.0**power for power in range(first, last + 1) for step in (1, 2, 5)]
    return [value for value in every if low <= value <= high]


def axes(drawing):
    (x0, x1), (y0, y1) = drawing.x, drawing.y
    for value in marks(x0, x1):
        drawing.line(drawing.at(value, y0), drawing.at(value, y1), "#e3e3e3")
        x, y = drawing.at(value, y0)
        drawing.text((x, y + 18), f"{value:g}", anchor="middle")
    for value in marks(y0, y1):
        drawing.line(drawing.at(x0, value), drawing.at(x1, value), "#e3e3e3")
        x, y = drawing.at(x0, value)
        drawing.text((x - 8, y + 4), f"{value / 1e9:g}", anchor="end")
    for a, b in (((x0, y0), (x1, y0)), ((x0, y0), (x0, y1))):
        drawing.line(drawing.at(*a), drawing.at(*b), "#555555")
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawing.text((middle, HEIGHT - 18), "multiply-adds per byte of weights read", anchor="middle")
    drawing.text((22, (TOP + HEIGHT - BOTTOM) / 2), "10⁹ multiply-adds per second", anchor="middle", turn=-90)


def spread(values):
    return f"{min(values) / 1e9:.4g} to {max(values) / 1e9:.4g}"


def roofs(drawing, reads, rates):
    read, rate = statistics.median(reads), statistics.median(rates)
    (x0, x1), (y0, y1) = drawing.x, drawing.y
    ridge = rate / read
    begin = max(x0, y0 / read)
    foot, top, end = drawing.at(begin, begin * read), drawing.at(ridge, rate), drawing.at(x1, rate)
    drawing.line(foot, top, "#222222", 2)
    drawing.line(top, end, "#222222", 2)
    slope = math.degrees(math.atan2(top[1] - foot[1], top[0] - foot[0]))
    # Its end below the ridge, where no run comes near.
    place = (foot[0] + 0.97 * (top[0] - foot[0]), foot[1] + 0.97 * (top[1] - foot[1]))
    drawing.text((place[0] - 6, place[1] - 8), f"memory: {read / 1e9:.3g} GB/s", anchor="end", turn=slope)
    drawing.text((end[0] - 4, end[1] - 8), f"int8: {rate / 1e9:.3g} G/s", anchor="end")


def legend(drawing, files):
    x, y = WIDTH - RIGHT + 24, TOP + 10
    for index, file in enumerate(files):
        drawing.line((x, y - 4), (x + 22, y - 4), COLOURS[index], 4)
        drawing.text((x + 30, y), NAMES.get(file, file))
        y += 22
    y += 14
    for phase in PHASES:
        drawing.mark((x + 11, y - 4), phase, "#555555")
        drawing.text((x + 30, y), phase if phase == "prefill" else f"decode, {phase}")
        y += 22


def draw(files, reads, rates, title):
    places = [point for phases in files.values() for point in phases.values()]
    ridge = statistics.median(rates) / statistics.median(reads)
    x = (min(min(p[0] for p in places), ridge) / 2, max(max(p[0] for p in places), ridge) * 2)
    y = (min(p[1] for p in places) / 2, max(max(rates), max(p[1] for p in places)) * 1.6)
    drawing = Drawing(x, y)
    drawing.text((LEFT, 26), title, size=15, bold=True)
    note = f"The roofs as measured in the same runs: {spread(reads)} GB/s, {spread(rates)} G multiply-adds/s"
    drawing.text((LEFT, 46), note, colour="#555555")
    axes(drawing)
    roofs(drawing, reads, rates)
    for index, phases in enumerate(files.values()):
        drawing.path([drawing.at(*phases[phase]) for phase in PHASES if phase in phases], COLOURS[index])
    for index, phases in enumerate(files.values()):
        for phase in phases:
            drawing.mark(drawing.at(*phases[phase]), phase, COLOURS[index])
    legend(drawing, files)
    return drawing.finish()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("svg", type=pathlib.Path, help="where the picture goes")
    parser.add_argument("json", type=pathlib.Path, nargs="+")
    parser.add_argument("--title", default="tokenmill below the roofs of the machine")
    args = parser.parse_args()
    files, reads, rates = gather(args.json)
    if not files:
        parser.error("no run of tokenmill in these files")
    if len(files) > len(COLOURS):
        parser.error(f"at most {len(COLOURS)} models fit into one picture")
    args.svg.write_text(draw(files, reads, rates, args.title))
    for file, phases in files.items():
        for phase, (density, rate) in phases.items():
            print(f"{file}, {phase}: {density:.3g} per byte, {rate / 1e9:.4g} G/s")


if __name__ == "__main__":
    main()
