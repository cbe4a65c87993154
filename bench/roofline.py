#!/usr/bin/env python3
"""Draws the roofline of what cifar10_bench measured (Williams et al., 2009): a dot per kernel that the fastest set's plan calls, by its
operations a byte and its GFLOP/s, below the measured peak of multiply-adds and the measured bandwidth of each memory level.

    cifar10_bench --json=build/bench.json
    bench/roofline.py build/bench.json [--batch N] > docs/roofline.svg

A dot's area is its share of the time. The numbers follow the table: 1 loses most time against the machine's bound.
"""

import argparse
import itertools
import json
import math
from xml.sax.saxutils import escape

LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 64, 56, 820, 760
LINE = 14  # of the list beside the plot
LIST = LEFT + PLOT_WIDTH + 32
FONT = 11
LETTER = 0.58  # of the font's size, the width of a letter of a kernel's name

# Colours that the colour-blind tell apart (Okabe and Ito, 2008).
KINDS = {
    "convolution, forward": "#0072B2",
    "convolution, backward data": "#D55E00",
    "convolution, backward weights": "#009E73",
    "other, forward": "#CC79A7",
    "other, backward": "#E69F00",
    "optimizer": "#000000",
}


# The functions of a pass that are applied to gradients alone; a dropout is its own gradient, and counts as forward.
OF_GRADIENTS = ("mask", "affinemask", "kept", "normgradient", "onehotgradient", "penalised")


def kind(kernel, shape):
    """Of a kernel, a core and behind "__" each its chains, and its shape: that of a slab of weights is an optimizer's."""
    core, *chains = kernel.split("__")
    if core.startswith("conv2d") and "fold" not in core:
        way = "backward data" if "bwd_data" in core else "backward weights" if "bwd_weights" in core else "forward"
        return f"convolution, {way}"
    if shape.startswith("n"):
        return "optimizer"
    of_gradients = any(link.startswith(OF_GRADIENTS) for chain in chains for link in chain.split("_"))
    backward = "bwd" in core or (core.startswith("pointwise") and of_gradients)
    return "other, backward" if backward else "other, forward"


class Axis:
    """Logarithms of `low` to `high` on the pixels `begin` to `end`."""

    def __init__(self, low, high, begin, end):
        self.low, self.high, self.begin = low, high, begin
        self.per_decade = (end - begin) / math.log10(high / low)

    def __call__(self, value):
        return self.begin + self.per_decade * math.log10(value / self.low)

    def ticks(self):
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [step * 10.0**exponent for exponent in exponents for step in (1, 2, 5)]
        return [value for value in values if self.low <= value <= self.high]


def text(x, y, words, anchor="start", **style):
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{escape(str(words))}</text>'


def line(x1, y1, x2, y2, stroke, **style):
    attributes = "".join(f' {key}="{value}"' for key, value in style.items())
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{attributes}/>'


class Dot:
    def __init__(self, number, row, whole_ms, x, y):
        self.number, self.row, self.colour = number, row, KINDS[kind(row["kernel"], row["shape"])]
        self.x, self.y = x(row["flop"] / row["bytes"]), y(row["gflops"])
        self.radius = max(2.5, 26 * math.sqrt(row["ms"] / whole_ms))


def draw_axes(x, y):
    bottom = TOP + PLOT_HEIGHT
    for value in x.ticks():
        yield line(x(value), TOP, x(value), bottom, "#e6e6e6")
        yield text(x(value), bottom + 16, f"{value:g}", "middle")
    for value in y.ticks():
        yield line(LEFT, y(value), LEFT + PLOT_WIDTH, y(value), "#e6e6e6")
        yield text(LEFT - 6, y(value) + 4, f"{value:g}", "end")
    yield text(LEFT + PLOT_WIDTH / 2, bottom + 36, "operations a byte, FLOP/byte", "middle", font_size=13)
    middle = TOP + PLOT_HEIGHT / 2
    yield text(16, middle, "GFLOP/s", "middle", font_size=13, transform=f"rotate(-90 16 {middle})")


def draw_roof(machine, x, y):
    """The peak as a level line, each memory level's bandwidth as a slope up to it."""
    peak = machine["peak_gflops"]
    first_ridge = min(peak / level["gb_per_second"] for level in machine["bandwidths"])
    yield line(x(max(first_ridge, x.low)), y(peak), x(x.high), y(peak), "#444", **{"class": "roof", "stroke-width": 1.5})
    yield text(x(max(first_ridge, x.low)) + 24, y(peak) - 6, f"multiply-adds, {peak:.0f} GFLOP/s", fill="#444")
    slope = math.degrees(math.atan2(y.per_decade, x.per_decade))
    for level in machine["bandwidths"]:
        bandwidth = level["gb_per_second"]
        begin, end = max(x.low, y.low / bandwidth), min(x.high, peak / bandwidth)
        yield line(x(begin), y(begin * bandwidth), x(end), y(end * bandwidth), "#444", **{"class": "slope", "stroke-width": 1.5})
        at = end / 1.3
        place = f"rotate({slope:.1f} {x(at):.1f} {y(at * bandwidth):.1f}) translate(0 -5)"
        yield text(x(at), y(at * bandwidth), f"{level['level']}, {bandwidth:.0f} GB/s", "end", fill="#444", transform=place)


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def label_places(dots):
    """The middle of each dot's number: the nearest place around it that no dot and no other number covers."""
    taken = [(dot.x - dot.radius, dot.y - dot.radius, dot.x + dot.radius, dot.y + dot.radius) for dot in dots]
    for dot in dots:
        half = 3.5 * len(str(dot.number)) + 1
        for away, turn in itertools.product(range(2, 160, 4), range(16)):
            angle = turn * math.pi / 8
            middle_x = dot.x + (dot.radius + half + away) * math.cos(angle)
            middle_y = dot.y + (dot.radius + FONT / 2 + away) * math.sin(angle)
            box = (middle_x - half, middle_y - FONT / 2, middle_x + half, middle_y + FONT / 2)
            inside = LEFT < box[0] and box[2] < LEFT + PLOT_WIDTH and TOP < box[1] and box[3] < TOP + PLOT_HEIGHT
            if inside and not any(overlap(box, other) for other in taken):
                break
        taken.append(box)
        yield middle_x, middle_y


def draw_dots(dots):
    for dot in sorted(dots, key=lambda dot: -dot.radius):  # the small ones on top
        title = "{kernel} {shape} {entry}: {ms:.3f} ms, {gflops:.1f} GFLOP/s, {gb_per_second:.1f} GB/s".format(**dot.row)
        yield (
            f'<circle class="kernel" cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{dot.radius:.1f}" fill="{dot.colour}" fill-opacity="0.75" '
            f'stroke="white" stroke-width="0.7"><title>{escape(title)}</title></circle>'
        )
    for dot, (label_x, label_y) in zip(dots, label_places(dots)):
        if math.hypot(label_x - dot.x, label_y - dot.y) > dot.radius + FONT + 4:
            yield line(dot.x, dot.y, label_x, label_y, dot.colour, **{"stroke-width": 0.5})
        yield text(label_x, label_y + 4, dot.number, "middle", fill=dot.colour, font_weight="bold", **{"class": "number"})


def full_name(dot):
    return f"{dot.row['kernel']} {dot.row['shape']}"


def end_of_times(dots):
    """Where the list's milliseconds end, clear of the longest name."""
    return LIST + 64 + max(len(full_name(dot)) for dot in dots) * FONT * LETTER


def draw_list(dots):
    y = TOP
    for name, colour in KINDS.items():
        yield f'<circle cx="{LIST + 6}" cy="{y - 4}" r="5" fill="{colour}"/>' + text(LIST + 18, y, name)
        y += LINE + 2
    y += LINE
    ms = end_of_times(dots)
    columns = [(LIST + 16, "end"), (LIST + 24, "start"), (ms, "end"), (ms + 60, "end"), (ms + 134, "end")]
    heads = ("", "kernel", "ms", "GFLOP/s", "% of bound")
    for (at, anchor), head in zip(columns, heads):
        yield text(at, y, head, anchor, font_weight="bold")
    for dot in dots:
        y += LINE
        row = dot.row
        cells = (dot.number, full_name(dot), f"{row['ms']:.3f}", f"{row['gflops']:.1f}", f"{row['percent_of_bound']:.0f}")
        for (at, anchor), cell in zip(columns, cells):
            yield text(at, y, cell, anchor, fill=dot.colour)


def draw(report, batch):
    """The SVG of the kernels that the automatic set calls with `batch` (None: the first batch there is)."""
    machine = report["machine"]
    rows = [row for row in report["kernels"] if row["set"] == machine["auto"] and row["train_calls"] + row["infer_calls"] > 0]
    batch = batch or next((row["batch"] for row in rows if row["batch"]), None)
    rows = [row for row in rows if row["batch"] in (None, batch)]
    if not rows:
        raise SystemExit(f"roofline.py: no kernel of {machine['auto']} was measured")

    intensities = [row["flop"] / row["bytes"] for row in rows]
    speeds = [row["gflops"] for row in rows]
    x = Axis(min(intensities) / 1.6, max(intensities) * 1.6, LEFT, LEFT + PLOT_WIDTH)
    y = Axis(min(speeds) / 1.6, max(speeds + [machine["peak_gflops"]]) * 1.6, TOP + PLOT_HEIGHT, TOP)
    whole_ms = sum(row["ms"] for row in rows)
    dots = [Dot(number, row, whole_ms, x, y) for number, row in enumerate(rows, 1)]

    width, height = end_of_times(dots) + 146, max(TOP + PLOT_HEIGHT + 50, TOP + LINE * (len(rows) + 12))
    title = f"{machine['auto']}, batch {batch}, threads: {machine['threads']}; {machine['cpu']}, {machine['date']}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-family="sans-serif" font-size="{FONT}">',
        f'<rect width="{width:.0f}" height="{height}" fill="white"/>',
        text(LEFT, 28, title, font_size=15, font_weight="bold"),
        *draw_axes(x, y), *draw_roof(machine, x, y), *draw_dots(dots), *draw_list(dots),
        "</svg>",
    ])  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=argparse.FileType(), help="what cifar10_bench --json wrote")
    parser.add_argument("--batch", type=int, help="of those measured; default: the first")
    arguments = parser.parse_args()
    print(draw(json.load(arguments.report), arguments.batch))


if __name__ == "__main__":
    main()
