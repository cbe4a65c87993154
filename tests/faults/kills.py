#!/usr/bin/env python3
"""Kills a training at random moments (SIGKILL) and goes on with it, until it ends: the run must then be as one that nothing disturbed.

200 kills, or 1,000 where HALCYON_FAULTS is "all".

Usage: kills.py --cifar10 FILE [--seed N]
"""

from __future__ import annotations

import argparse
import pathlib
import random
import shutil
import subprocess
import tempfile
import time

import runs

EPOCHS = 4
MOST_KILLS_OF_A_RUN = 4


def killed_within(command: list[str], seconds: float) -> bool:
    """Starts the program and kills it after so long; False where it had ended by then."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.returncode == -9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    wanted_kills = 1000 if runs.WHOLE else 200
    kills = ends = 0

    with tempfile.TemporaryDirectory(prefix="halcyon-") as name:
        place = runs.Workplace(pathlib.Path(name), options.cifar10)
        findings = runs.Findings(place.folder)
        begin = time.monotonic()
        wanted = place.trained(place.folder / "undisturbed", epochs=EPOCHS)
        seconds = time.monotonic() - begin

        out = place.folder / "run"
        while kills < wanted_kills:
            shutil.rmtree(out, ignore_errors=True)
            command, of_this_run = place.train(out, epochs=EPOCHS), 0
            while of_this_run < MOST_KILLS_OF_A_RUN and killed_within(command, moments.uniform(0, seconds)):
                of_this_run += 1
                if (out / "last.safetensors").exists():
                    command = place.resume(out, epochs=EPOCHS)
            kills, ends = kills + of_this_run, ends + 1
            wrong = place.go_on(out, epochs=EPOCHS) or runs.difference(runs.state_of(out), wanted)
            if wrong:
                findings.add(wrong, f"run {ends}, killed {of_this_run} times")
        findings.finish(f"{kills} kills of {ends} runs, each as one that nothing disturbed")


if __name__ == "__main__":
    main()
