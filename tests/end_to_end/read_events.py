#!/usr/bin/env python3
"""A run's event files as TensorBoard's own reader sees them: the figures of metrics.jsonl, after each stop too.

Usage: read_events.py --trainer FILE
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print("skipped: there is no TensorBoard for this Python; pip install tensorboard")
    raise SystemExit(0) from None


def scalars(folder: pathlib.Path) -> dict[str, list[tuple[int, float]]]:
    """By tag the steps and the values."""
    events = EventAccumulator(str(folder)).Reload()
    for tag in events.Tags()["scalars"]:
        assert all(abs(time.time() - event.wall_time) < 600 for event in events.Scalars(tag)), tag
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(run: pathlib.Path, validated: bool) -> dict[str, list[tuple[int, float]]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for key, value in line.items():
            if "epoch" not in line or key == "epoch" or value is None or key.startswith("val_") != validated:
                continue
            curves.setdefault("epoch_" + key.removeprefix("val_"), []).append((line["epoch"] - 1, float(numpy.float32(value))))
    return curves


def check(run: pathlib.Path, epochs: int) -> None:
    for part in ("train", "validation"):
        found = scalars(run / "tensorboard" / part)
        assert found == expected(run, part == "validation"), (part, found)
        assert all(len(curve) == epochs for curve in found.values()), (part, found)
        assert {"epoch_loss", "epoch_accuracy"} <= set(found), found
    assert "epoch_learning_rate" in scalars(run / "tensorboard" / "train")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainer", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    def train(*options: object) -> None:
        subprocess.run([arguments.trainer, "train", *map(str, options)], check=True, capture_output=True, env=os.environ | {"CIFAR10_DIR": ""})

    with tempfile.TemporaryDirectory() as folder:
        run, other = pathlib.Path(folder) / "run", pathlib.Path(folder) / "other"
        train("--limit", 256, "--epochs", 2, "--tensorboard", "--out", run)
        check(run, 2)
        train("--resume", run, "--epochs", 3)
        check(run, 3)
        train("--resume", run, "--epochs", 4, "--out", other)
        check(other, 4)
        check(run, 3)

        # A run that began without goes on with them, from its first epoch.
        plain = pathlib.Path(folder) / "plain"
        train("--limit", 256, "--epochs", 1, "--out", plain)
        assert not (plain / "tensorboard").exists()
        train("--resume", plain, "--epochs", 2, "--tensorboard")
        check(plain, 2)


main()
