#!/usr/bin/env python3
"""Makes each call of a program fail in turn, and checks what it says and what it leaves.

For every kind of call (write, rename, malloc and so on) and every number n: the n-th call fails once, or that one and all after it. The
program must end with exit code 1 after one line on standard error, or do all it was to do; the same command must then do the rest, with the
result of a run that nothing disturbed, and leave no other file.

All calls where HALCYON_FAULTS is "all", else a few of each kind.

Usage: calls.py SCENARIO --cifar10 FILE --halcyonc FILE --model FILE --library FILE
"""

from __future__ import annotations

import argparse
import errno
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import runs

POINTS = 6  # of a kind of call and failure, where not all are tried

# What a call may fail with; "+": and all calls of its kind after it.
FAILURES = {
    "malloc": ["ENOMEM", "ENOMEM+"],
    "mkdir": ["EACCES"],
    "mmap": ["ENOMEM", "ENOMEM+"],
    "open": ["EMFILE", "EMFILE+", "EACCES"],
    "read": ["EIO", "EINTR"],
    "rename": ["EACCES", "ENOSPC+"],
    "sync": ["EIO", "EIO+"],
    "thread": ["EAGAIN", "EAGAIN+"],
    "write": ["ENOSPC", "ENOSPC+", "EINTR"],
}


@dataclass(frozen=True)
class Scenario:
    """A command that works in a folder, made anew each time."""

    folder: pathlib.Path
    prepare: Callable[[], None]
    command: list[str]
    go_on: Callable[[], str]  # after a failure: what went wrong, or ""
    prints_result: bool = False  # standard output is the same each time


@dataclass(frozen=True)
class Fault:
    call: str
    failure: str
    number: int

    def environment(self, library: str) -> dict[str, str]:
        variables = {
            "LD_PRELOAD": library,
            "FAIL_CALL": self.call,
            "FAIL_AT": str(self.number),
            "FAIL_ERRNO": str(getattr(errno, self.failure.rstrip("+"))),
        }
        return variables | ({"FAIL_ON": "1"} if self.failure.endswith("+") else {})

    def __str__(self) -> str:
        return f"{self.call} {self.number} {self.failure}"


def scenario_named(name: str, options: argparse.Namespace, work: pathlib.Path) -> Scenario:
    place = runs.Workplace(work, options.cifar10)
    folder, before, weights = place.folder / "changes", place.folder / "before", str(place.folder / "weights" / "best.safetensors")
    out = folder / "run"

    def start_empty() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    def start_from_before() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)

    def nothing_to_do() -> str:
        return ""

    if name == "train":
        return Scenario(folder, start_empty, place.train(out), lambda: place.go_on(out))
    if name == "resume":
        start_empty()
        place.trained(out, epochs=1)
        folder.rename(before)
        return Scenario(folder, start_from_before, place.resume(out), lambda: place.go_on(out))
    if name == "evaluate":
        place.trained(place.folder / "weights", epochs=1)
        command = [place.program, "evaluate", "--weights", weights, "--data", str(place.data), "--json"]
        return Scenario(folder, start_empty, command, nothing_to_do, prints_result=True)
    if name == "predict":
        place.trained(place.folder / "weights", epochs=1)
        command = [place.program, "predict", "--weights", weights, "--data", str(place.data), "--records", "0:9", "--json"]
        return Scenario(folder, start_empty, command, nothing_to_do, prints_result=True)
    if name == "cache":
        # Pictures are decoded into a cache; what a failure leaves of it must not be taken for one.
        pictures = place.folder / "pictures"
        runs.write_pictures(pictures)
        command = [place.program, "data", str(pictures), "--cache", str(folder / "cache"), "--json"]

        def decode_again() -> str:
            result = runs.run(command)
            return "" if result.code == 0 and not result.err else f"does not decode afterwards: {result.err.strip()}"

        return Scenario(folder, start_empty, command, decode_again, prints_result=True)
    if name == "build":
        # The kernels are in the cache before, but nothing is in the output folder.
        build = [options.halcyonc, "build", options.model, "--schedules", "reference", "--jobs", "2"]
        command = [*build, "--cache", str(folder / "cache"), "--output", str(folder / "out")]
        start_empty()
        runs.succeed(command)
        shutil.rmtree(folder / "out")
        folder.rename(before)

        def again() -> str:
            result = runs.run(command)
            return "" if result.code == 0 else f"does not build afterwards: {result.err.strip()}"

        return Scenario(folder, start_from_before, command, again)
    raise SystemExit(f"calls.py: there is no scenario {name}")


def count_calls(scenario: Scenario, call: str, library: str, work: pathlib.Path) -> int:
    scenario.prepare()
    count = work / "count"
    runs.run(scenario.command, Fault(call, "EIO", 0).environment(library) | {"FAIL_COUNT": str(count)})
    return int(count.read_text())


def faults_of(call: str, total: int) -> Iterator[Fault]:
    """All calls, or POINTS of them at equal strides; other ones for each kind of failure."""
    for shift, failure in enumerate(FAILURES[call]):
        stride = 1 if runs.WHOLE else max(1, total // POINTS)
        for number in range(1 + shift * stride // len(FAILURES[call]), total + 1, stride):
            yield Fault(call, failure, number)


def sweep(scenario: Scenario, calls: list[str], library: str, work: pathlib.Path) -> None:
    scenario.prepare()
    undisturbed = runs.succeed(scenario.command)
    wanted = runs.state_of(scenario.folder)
    findings, resumable = runs.Findings(work), set[str]()
    tried = refused = 0

    def what_went_wrong(result: runs.Result) -> str:
        state = runs.state_of(scenario.folder)
        if result.code == 0:
            if result.err:
                return f"done, but said: {result.err.strip()}"
            if scenario.prints_result and result.out != undisturbed.out:
                return "done, but the output differs"
            if any(state.get(name) != content for name, content in wanted.items()):
                return f"done, but {runs.difference(state, wanted)}"
        else:
            wrong = runs.not_refused(result)
            if wrong:
                return wrong
        # What could not be removed may be left until the next start.
        if repr(state) in resumable:
            return ""
        wrong = scenario.go_on() or runs.difference(runs.state_of(scenario.folder), wanted)
        if not wrong:
            resumable.add(repr(state))
        return f"afterwards: {wrong}" if wrong else ""

    for call in calls:
        for fault in faults_of(call, count_calls(scenario, call, library, work)):
            scenario.prepare()
            result = runs.run(scenario.command, fault.environment(library))
            tried, refused = tried + 1, refused + (result.code != 0)
            wrong = what_went_wrong(result)
            if wrong:
                findings.add(f"{call} {fault.failure}: {wrong}", f"{fault}: {result.err.strip()[:300]}")
    findings.finish(
        f"{tried} calls made to fail: {refused} runs refused, {tried - refused} went through; {len(resumable)} kinds of folders left and gone on from"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    for option in ("--cifar10", "--halcyonc", "--model", "--library"):
        parser.add_argument(option, required=True)
    parser.add_argument("--calls", default=",".join(FAILURES), help="kinds of calls, by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="halcyon-") as name:
        work = pathlib.Path(name)
        sweep(scenario_named(options.scenario, options, work), options.calls.split(","), options.library, work)


if __name__ == "__main__":
    main()
