#!/usr/bin/env python3
"""Where a run cannot write, and what reaches it from outside: full and read-only disks, folders that vanish, two trainers in one folder,
signals, outputs that nobody reads.

Every check leaves a run that goes on to the result of an undisturbed one. Usage: places.py CHECK --cifar10 FILE
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

import runs

LONG = 200_000  # epochs of a run that does not end by itself


class Skipped(Exception):
    pass


def mount(folder: pathlib.Path, options: str) -> None:
    result = runs.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)])
    if result.code != 0:
        raise Skipped(f"no file system can be mounted here: {result.err.strip()}")


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, size: int) -> Iterator[Callable[[str], None]]:
    """Mounts a tmpfs of so many KiB; what it gives remounts with other options."""
    folder.mkdir(exist_ok=True)
    mount(folder, f"size={size}k")
    try:
        yield lambda options: mount(folder, f"remount,{options}")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def goes_on(place: runs.Workplace, out: pathlib.Path, wanted: runs.State) -> str:
    return place.go_on(out) or runs.difference(runs.state_of(out), wanted)


def full_disk(place: runs.Workplace, wanted: runs.State) -> Iterator[str]:
    """From no space at all to all that a run takes."""
    disk = place.folder / "disk"
    out = disk / "run"
    whole = sum(path.stat().st_size for path in (place.folder / "undisturbed").iterdir()) // 1024 + 64
    for size in range(4, whole, whole // (40 if runs.WHOLE else 10)):
        with small_disk(disk, size) as remount:
            result = runs.run(place.train(out))
            if result.code != 0:
                yield runs.not_refused(result)
            remount(f"size={4 * whole}k")
            yield goes_on(place, out, wanted)


def read_only_disk(place: runs.Workplace, wanted: runs.State) -> Iterator[str]:
    disk = place.folder / "disk"
    out, weights = disk / "run", disk / "run" / "last.safetensors"
    with small_disk(disk, 65536) as remount:
        runs.succeed(place.train(out, epochs=1))
        before = runs.state_of(disk)
        remount("ro")
        for command in (place.resume(out), place.train(disk / "another")):
            yield runs.not_refused(runs.run(command))
        runs.succeed([place.program, "evaluate", "--weights", str(weights), "--data", str(place.data)])
        yield runs.difference(runs.state_of(disk), before)
        remount("rw")
        yield goes_on(place, out, wanted)


@contextlib.contextmanager
def started(command: list[str], shows: str = "epoch 1/") -> Iterator[subprocess.Popen[str]]:
    """A run that has shown this text."""
    with runs.start(command) as process:
        try:
            assert process.stdout
            while shows not in (line := process.stdout.readline()):
                if not line:
                    raise SystemExit(f"{' '.join(command)}: ended before it showed {shows!r}: {process.communicate()[1]}")
            yield process
        finally:
            process.kill()


def folder_removed(place: runs.Workplace, wanted: runs.State) -> Iterator[str]:
    out = place.folder / "run"
    with started(place.train(out, epochs=LONG)) as process:
        while out.exists():  # something may be written into it meanwhile
            shutil.rmtree(out, ignore_errors=True)
        result = runs.end_of(process)
    yield runs.not_refused(result)
    yield "" if str(out) in result.err else f"the line does not name the folder: {result.err}"
    shutil.rmtree(out, ignore_errors=True)
    yield goes_on(place, out, wanted)


def folder_moved(place: runs.Workplace, wanted: runs.State) -> Iterator[str]:
    out, moved = place.folder / "run", place.folder / "moved"
    with started(place.train(out, epochs=LONG)) as process:
        out.rename(moved)
        yield runs.not_refused(runs.end_of(process))
    with contextlib.suppress(FileNotFoundError):
        yield "" if not any(out.iterdir()) else "something is written where the folder was"
    yield goes_on(place, out, wanted)


def two_trainers(place: runs.Workplace, wanted: runs.State) -> Iterator[str]:
    """Two runs begin in one folder at once, and two go on with one run: the first has it, the second is refused."""
    out = place.folder / "run"
    for turn in range(50 if runs.WHOLE else 10):
        shutil.rmtree(out, ignore_errors=True)
        if turn % 2:
            runs.succeed(place.train(out, epochs=1))
        command = place.resume(out) if turn % 2 else place.train(out)
        processes = [runs.start(command) for _ in range(2)]
        results = [runs.end_of(process) for process in processes]
        refusals = [runs.not_refused(result) for result in results if result.code != 0]
        yield from refusals
        # Where the first has ended the run already, the second finds nothing to do.
        yield "" if len(refusals) == 1 or (turn % 2 and not refusals) else f"{len(refusals)} of two trainers were refused"
        yield goes_on(place, out, wanted)


def signals(place: runs.Workplace, wanted: runs.State) -> Iterator[str]:
    """Those that ask for an end save first; the others end the run as they end every program. None loses a run."""
    out = place.folder / "run"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE):
        for wait in (0.0, 0.02, 0.1):
            shutil.rmtree(out, ignore_errors=True)
            with started(place.train(out, epochs=2), shows="out ") as process:
                time.sleep(wait)
                process.send_signal(number)
                result = runs.end_of(process)
            saved = number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            # The run may have ended by itself before.
            if result.code not in (0, 130 if saved else -number) or result.err:
                yield f"{number.name}: exit code {result.code}: {result.err}"
            yield goes_on(place, out, wanted)


def outputs(place: runs.Workplace, wanted: runs.State) -> Iterator[str]:
    """Output that is not taken: a full device, a closed descriptor, a reader that leaves. It is an error only where it was wanted."""
    out = place.folder / "run"
    for redirection in (">/dev/full", ">&-", "<&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "| head -1", "| true"):
        shutil.rmtree(out, ignore_errors=True)
        words = " ".join(f"'{word}'" for word in place.train(out))
        result = runs.run(["bash", "-c", f"set -o pipefail; {words} {redirection}"])
        if result.code not in (0, 128 + signal.SIGPIPE):
            # Where standard error is closed, nobody can be told.
            yield runs.not_refused(runs.Result(result.code, "", result.err or ("-\n" if "2>&-" in redirection else "")))
        elif redirection == ">/dev/full":
            yield "a full device went unnoticed"
        yield goes_on(place, out, wanted)


CHECKS = {check.__name__: check for check in (full_disk, read_only_disk, folder_removed, folder_moved, two_trainers, signals, outputs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--cifar10", required=True)
    options = parser.parse_args()
    looked = 0
    with tempfile.TemporaryDirectory(prefix="halcyon-") as name:
        place = runs.Workplace(pathlib.Path(name), options.cifar10)
        findings = runs.Findings(place.folder)
        wanted = place.trained(place.folder / "undisturbed")
        try:
            for wrong in CHECKS[options.check](place, wanted):
                looked += 1
                if wrong:
                    findings.add(wrong, f"look {looked}")
        except Skipped as reason:
            print(f"skipped: {reason}")
            return
    findings.finish(f"{options.check}: looked {looked} times")


if __name__ == "__main__":
    main()
