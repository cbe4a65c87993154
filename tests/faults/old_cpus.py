#!/usr/bin/env python3
"""Trains on CPUs of other years, as qemu has them: each takes the best set that it can run, and comes to the weights that this machine
comes to with that set. One without SSE4.1 is told so.

Usage: old_cpus.py --cifar10 FILE
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import tempfile

import runs

SETS = {"Nehalem": "x86_sse41", "SandyBridge": "x86_sse41", "Haswell": "x86_avx2"}
TOO_OLD = ("qemu64", "core2duo")  # without SSE4.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", required=True)
    options = parser.parse_args()
    if not shutil.which("qemu-x86_64"):
        print("skipped: there is no qemu-x86_64 here (the package qemu-user)")
        return
    here = {found["name"]: found["runs"] for found in json.loads(runs.succeed([options.cifar10, "schedules", "--json"]).out)["sets"]}
    compared = 0
    with tempfile.TemporaryDirectory(prefix="halcyon-") as name:
        place = runs.Workplace(pathlib.Path(name), options.cifar10)
        findings = runs.Findings(place.folder)

        def train(out: str) -> list[str]:
            return [*place.train(place.folder / out, epochs=1), "--limit", "20", "--no-evaluate"]

        def errors(result: runs.Result) -> runs.Result:
            """Without what qemu says of the features that it lacks itself."""
            lines = [line for line in result.err.splitlines(keepends=True) if not line.startswith("qemu-x86_64: warning")]
            return runs.Result(result.code, result.out, "".join(lines))

        for cpu, wanted in SETS.items():
            result = errors(runs.run(["qemu-x86_64", "-cpu", cpu, *train(cpu)]))
            if result.code != 0 or result.err:
                findings.add(f"does not train: exit code {result.code}: {result.err}", cpu)
                continue
            taken = json.loads((place.folder / cpu / "config.json").read_text())["schedule"]
            if taken != wanted:
                findings.add(f"takes {taken}, not {wanted}", cpu)
            if not here[taken]:
                continue
            runs.succeed([*train(f"{cpu}.here"), "--schedule", taken])
            wrong = runs.difference(runs.state_of(place.folder / cpu), runs.state_of(place.folder / f"{cpu}.here"))
            if wrong:
                findings.add(f"computes something else than this machine: {wrong}", cpu)
            compared += 1
        for cpu in TOO_OLD:
            result = errors(runs.run(["qemu-x86_64", "-cpu", cpu, *train(cpu)]))
            wrong = runs.not_refused(result)
            if wrong or "this CPU has no sse41" not in result.err:
                findings.add(wrong or f"does not say why: {result.err}", cpu)
    findings.finish(f"{compared} CPUs train as this machine does with their sets; {len(TOO_OLD)} are refused")


if __name__ == "__main__":
    main()
