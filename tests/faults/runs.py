"""Tiny runs of the programs, and what a folder holds after one: what the drivers beside this file share."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pathlib
import random
import re
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TRAIN_RECORDS, TEST_RECORDS = 26, 65  # in each of the five files to train on, and in the one to test on
WHOLE = os.environ.get("HALCYON_FAULTS") == "all"  # else the part that fits into every build
SECONDS = 120  # none of these runs takes as many


@dataclass(frozen=True)
class Result:
    code: int  # below 0: the signal that ended it
    out: str
    err: str


def end_of(process: subprocess.Popen[str]) -> Result:
    """Waits for its end; one that hangs is killed, and that is its result."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += f"(killed: it did not end in {SECONDS} s)\n"
    return Result(process.returncode, out, err)


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    variables = {name: value for name, value in os.environ.items() if name != "CIFAR10_DIR"} | dict(environment or {})
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=variables)


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Result:
    with start(command, environment) as process:
        return end_of(process)


def write_data(folder: pathlib.Path) -> None:
    """CIFAR-10's files with made records."""
    folder.mkdir()
    source = random.Random(1)
    names = [f"data_batch_{i}.bin" for i in range(1, 6)]
    for name, count in [(name, TRAIN_RECORDS) for name in names] + [("test_batch.bin", TEST_RECORDS)]:
        (folder / name).write_bytes(b"".join(bytes([source.randrange(10)]) + source.randbytes(3072) for _ in range(count)))


def write_pictures(folder: pathlib.Path) -> None:
    """Class folders train/ and test/ of BMP files, three and one of each of ten classes, 12x12."""
    source, side = random.Random(1), 12
    for name, count in ("train", 3), ("test", 1):
        for label in range(10):
            pictures = folder / name / f"class {label}"
            pictures.mkdir(parents=True)
            for i in range(count):
                pixels = source.randbytes(3 * side * side)
                header = struct.pack("<2sIII IiiHHIIiiII", b"BM", 54 + len(pixels), 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
                (pictures / f"{i}.bmp").write_bytes(header + pixels)


def without_times(path: pathlib.Path) -> bytes:
    """A file's bytes; of a run's files, everything that does not depend on the clock."""
    data = path.read_bytes()
    if path.name == "metrics.jsonl":
        lines = [json.loads(line) for line in data.splitlines()]
        return repr([(line["epoch"], line["loss"], line["accuracy"], line["val_loss"]) for line in lines]).encode()
    if path.name == "metrics.csv":
        return repr([row[:4] for row in csv.reader(data.decode().splitlines())]).encode()
    if path.name == "report.html":
        return repr((data[:15], data[-8:])).encode()  # whole
    if path.suffix == ".safetensors":
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        metadata = header.get("__metadata__", {})
        for key in ("seconds", "checksum"):
            metadata.pop(key, None)
        return json.dumps(header).encode() + data[8 + length :]
    return data


State = dict[str, str]


def state_of(folder: pathlib.Path) -> State:
    """Every file below the folder by its name, with the hash of what it holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(without_times(path)).hexdigest()[:12] for path in files}


def difference(state: State, wanted: State) -> str:
    """The files that are not as they should be."""
    names = sorted(name for name in state.keys() | wanted.keys() if state.get(name) != wanted.get(name))
    return ", ".join(f"{name} {'is missing' if name not in state else 'is left' if name not in wanted else 'differs'}" for name in names)


def not_refused(result: Result) -> str:
    """Why this is no refusal as it should be, exit code 1 after one line, and one for each picture; "" where it is one."""
    lines = result.err.splitlines()
    if result.code < 0:
        return f"ended by signal {-result.code}: {result.err[-300:]}"
    if result.code != 1:
        return f"exit code {result.code}: {result.err[-300:]}"
    if lines and lines[-1].endswith("or go on without them by --skip-bad-files"):
        lines = [line for line in lines[:-1] if "cannot be read: " not in line] + lines[-1:]  # a line for each of them
    if len(lines) != 1 or not lines[0] or not result.err.endswith("\n"):
        return f"{len(lines)} lines of errors: {result.err[:300]!r}"
    if "internal error" in result.err or "std::" in result.err:
        return f"a line that is not for users: {lines[0]}"
    return ""


class Workplace:
    """An empty folder for a program, with data."""

    def __init__(self, folder: pathlib.Path, program: str) -> None:
        self.folder, self.program = folder, program
        self.data = folder / "data"
        write_data(self.data)

    def train(self, out: pathlib.Path, *, epochs: int = 2) -> list[str]:
        # A rate that stays as it is: one epoch and one more are then what two are.
        options = f"--recipe keras --batch 64 --epochs {epochs} --threads 2 --seed 3"
        return [self.program, "train", "--data", str(self.data), "--out", str(out), *options.split()]

    def resume(self, out: pathlib.Path, *, epochs: int = 2) -> list[str]:
        return [self.program, "train", "--resume", str(out), "--epochs", str(epochs)]

    def trained(self, out: pathlib.Path, *, epochs: int = 2) -> State:
        """What an undisturbed run leaves in `out`."""
        succeed(self.train(out, epochs=epochs))
        return state_of(out)

    def go_on(self, out: pathlib.Path, *, epochs: int = 2) -> str:
        """What a user does after a run has ended early: resume it, or start it again where it had not got as far. What went wrong, or ""."""
        resumed = run(self.resume(out, epochs=epochs))
        if resumed.code == 0:
            return ""
        wrong = not_refused(resumed)
        if wrong:
            return f"--resume: {wrong}"
        started = run(self.train(out, epochs=epochs))
        return "" if started.code == 0 else f"neither resumes nor starts: {resumed.err.strip()} | {started.err.strip()}"


def succeed(command: Sequence[str]) -> Result:
    result = run(command)
    if result.code != 0 or result.err:
        raise SystemExit(f"{' '.join(command)}: exit code {result.code}: {result.err}")
    return result


class Findings:
    """What went wrong: each kind, whatever its numbers and folder, with its first example and how often."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.examples: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def add(self, kind: str, example: str) -> None:
        kind = re.sub(r"[0-9]+", "N", kind.replace(str(self.folder), ""))
        self.examples.setdefault(kind, example)
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def finish(self, summary: str) -> None:
        """Ends the program: 1 where anything went wrong."""
        for kind, example in self.examples.items():
            print(f"{self.counts[kind]} x {kind}\n    {example}")
        print(summary)
        raise SystemExit(1 if self.examples else 0)
