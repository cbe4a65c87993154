#!/usr/bin/env python3
"""Checks the picture that roofline.py draws: well-formed, a labelled dot at its place per kernel that the fastest set calls with a batch.

Usage: check_roofline.py roofline.py BENCH.json
"""

import itertools
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

script, file = sys.argv[1:]
sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(script).parent))
import roofline  # noqa: E402
report = json.load(open(file))


def check(right, what):
    if not right:
        sys.exit(f"roofline.py: {what}")


def draw(*arguments):
    return xml.etree.ElementTree.fromstring(subprocess.run([sys.executable, script, file, *arguments], check=True, capture_output=True).stdout)


def texts(picture):
    return picture.findall(".//{*}text")


def of_class(picture, name):
    return [element for element in picture.iter() if element.get("class") == name]


for kernel, kind in {
    "conv2d_fwd__input_affine__relu": "convolution, forward",
    "conv2d_pool_fwd__convolution_relu_affine": "convolution, forward",
    "conv2d_bwd_data__kept3_mask": "convolution, backward data",
    "conv2d_pool_bwd_weights__convolution_affine__d_convolution_normgradientat2": "convolution, backward weights",
    "conv2d_fold_bwd": "other, backward",
    "max_pool2d_bwd__input_affine__normgradientat1_maskat1": "other, backward",
    "max_pool2d_fwd__input_affine__dropout0": "other, forward",
    "pointwise__affine_relu_dropout0": "other, forward",
    "pointwise_weights__penalisedv0v0p01": "other, backward",
    "pointwise__kept0_mask": "other, backward",
    "pointwise__maskat1": "other, backward",
    "sgd": "optimizer",
}.items():
    found = roofline.kind(kernel, "n8" if kind == "optimizer" else "h1w1c1")
    check(found == kind, f"{kernel} is of the kind {found}")

for batch in (16, 32):
    picture = draw("--batch", str(batch))
    called = [
        row for row in report["kernels"]
        if row["set"] == report["machine"]["auto"] and row["train_calls"] + row["infer_calls"] > 0 and row["batch"] in (None, batch)
    ]  # fmt: skip
    dots = of_class(picture, "kernel")
    check(len(called) > 5 and len(dots) == len(called), f"{len(dots)} dots for {len(called)} kernels")
    numbers = [label.text for label in of_class(picture, "number")]
    check(numbers == [str(number) for number in range(1, len(called) + 1)], f"the labels are {numbers}")
    check(len(of_class(picture, "slope")) == len(report["machine"]["bandwidths"]), "not a slope per memory level")

    roof = float(of_class(picture, "roof")[0].get("y1"))
    titles = {dot[0].text: float(dot.get("cy")) for dot in dots}
    for row in called:
        title = next(title for title in titles if title.startswith(f"{row['kernel']} {row['shape']} {row['entry']}:"))
        check((titles[title] < roof) == (row["percent_of_peak"] > 100), f"{title} is on the wrong side of the roof")

    colours = {dot[0].text.split()[0]: dot.get("fill") for dot in dots}
    check(colours["conv2d_fold"] != colours["conv2d_fwd__relu"], "a fold of weights has the colour of convolutions")
    names = {f"{row['kernel']} {row['shape']}" for row in called}
    for name, ms in itertools.pairwise(texts(picture)):
        fits = name.text not in names or float(name.get("x")) + 6.3 * len(name.text) < float(ms.get("x")) - 30
        check(fits, f"{name.text} runs into its time")

    width, height = map(float, re.fullmatch("0 0 (\\S+) (\\S+)", picture.get("viewBox")).groups())
    check(all(0 <= float(text.get("x")) <= width and 0 <= float(text.get("y")) <= height for text in texts(picture)), "text outside")
print("16 and 32 images: a dot per kernel, on its side of the roof")
