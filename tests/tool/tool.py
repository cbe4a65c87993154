#!/usr/bin/env python3
"""`halcyon`: models that are compiled on demand, kept, shared by processes, and what comes of faults.

Usage: tool.py CHECK --halcyon FILE --trainer FILE --models DIR --tiny FILE
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str


@dataclasses.dataclass
class Place:
    """A folder of its own, where the cache is too."""

    halcyon: str
    trainer: str
    models: pathlib.Path
    tiny: pathlib.Path
    folder: pathlib.Path

    @property
    def models_kept(self) -> pathlib.Path:
        return self.folder / "cache" / "halcyon" / "models"

    def environment(self, **changes: str) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name != "CIFAR10_DIR"}
        return environment | {"XDG_CACHE_HOME": str(self.folder / "cache")} | changes

    def start(self, *arguments: object, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.halcyon, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: object, **changes: str) -> Result:
        process = self.start(*arguments, **changes)
        out, err = process.communicate()
        return Result(process.returncode, out, err)

    def succeed(self, *arguments: object, **changes: str) -> Result:
        result = self.run(*arguments, **changes)
        assert result.code == 0, (arguments, result)
        return result

    def fail(self, words: list[str], *arguments: object, code: int = 1, **changes: str) -> None:
        """One line with all the words, and nothing that looks like a compiled model."""
        result = self.run(*arguments, **changes)
        lines = [line for line in result.err.splitlines() if ": compiling " not in line]
        assert result.code == code and len(lines) == 1, (arguments, result)
        assert lines[0].startswith("halcyon: ") and all(word in lines[0] for word in words), lines[0]

    def kept(self) -> list[str]:
        """What the cache has, but for locks."""
        if not self.models_kept.is_dir():
            return []
        return sorted(path.name for path in self.models_kept.iterdir() if path.suffix != ".lock")

    def train(self, *more: object) -> list[object]:
        return ["train", self.tiny, "--epochs", 1, "--limit", 64, *more]


def compiles(result: Result) -> bool:
    return "compiling " in result.err and "compiled in " in result.err


def trains_as_linked(place: Place) -> None:
    """The weights are those of the program that has the model linked in."""
    arguments = ["--epochs", "1", "--limit", "256", "--seed", "3", "--out"]
    place.succeed("train", place.models / "lenet5.json", *arguments, "by_tool")
    linked = subprocess.run(
        [place.trainer, "train", *arguments, "linked"], cwd=place.folder, env=place.environment(), capture_output=True, check=False
    )
    assert linked.returncode == 0, linked
    for file in ("best.safetensors", "model.json", "metrics.jsonl"):
        made, wanted = ((place.folder / run / file).read_bytes() for run in ("by_tool", "linked"))
        if file == "metrics.jsonl":
            made, wanted = ([json.loads(text)[name] for name in ("loss", "val_loss")] for text in (made, wanted))
        assert made == wanted, file
    assert (place.folder / "by_tool" / "model.json").read_bytes() == (place.models / "lenet5.json").read_bytes()


def compiles_once(place: Place) -> None:
    first = place.succeed(*place.train())
    assert compiles(first) and len(place.kept()) == 1, (first, place.kept())
    begin = time.monotonic()
    second = place.succeed(*place.train())
    seconds = time.monotonic() - begin
    assert not compiles(second) and second.err == "", second
    assert seconds < 1, seconds  # some 100 ms on a quiet machine
    other = place.folder / "other.json"
    other.write_text(place.tiny.read_text().replace('"units": 2', '"units": 3'))
    assert compiles(place.succeed("train", other, "--epochs", 1, "--limit", 64))
    assert compiles(place.succeed(*place.train("--schedule", "x86_sse41")))
    assert compiles(place.succeed(*place.train("--schedules", "x86_sse41", "--schedule", "reference")))
    assert len(place.kept()) == 4, place.kept()


def run_is_a_model(place: Place) -> None:
    """A run's folder has its model and its best weights, and can be gone on with alone."""
    trained = place.succeed(*place.train("--out", "run"))
    evaluated = json.loads(place.succeed("evaluate", "run", "--json").out)
    last = json.loads((place.folder / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert abs(evaluated["loss"] - last["val_loss"]) < 1e-6, (evaluated, last, trained)
    predicted = place.succeed("predict", "run", "--records", "0:3", "--json").out.splitlines()
    assert len(predicted) == 3, predicted
    resumed = place.succeed("train", "--resume", "run", "--epochs", 2)
    assert "epoch 2/2" in resumed.out and not compiles(resumed), resumed
    for command in (["summary", "run"], ["schedules", "run"], ["data", "run"]):
        place.succeed(*command)
    stopped = place.start("train", "run", "--epochs", 200_000, "--out", "long")
    assert stopped.stdout
    for line in stopped.stdout:
        if line.startswith("epoch 1/"):
            break
    stopped.send_signal(signal.SIGINT)
    rest, _ = stopped.communicate()
    assert stopped.returncode == 130 and "go on with: halcyon train --resume long" in rest, rest


def plans_alone(place: Place) -> None:
    """What needs no kernels compiles none."""
    assert "parameters 10" in place.succeed("summary", place.tiny).out
    assert "x86_sse41" in place.succeed("schedules", place.tiny, "--schedules", "x86_sse41").out
    place.succeed("data", place.tiny)
    place.succeed("plan", place.tiny)
    place.succeed("build", place.tiny, "--schedules", "reference", "-o", "built", "--shared")
    assert (place.folder / "built" / "libhalcyon_tiny.so").exists() and not (place.folder / "built" / "libhalcyon_tiny.a").exists()
    assert place.kept() == []


def waits_for_another(place: Place) -> None:
    first = place.start(*place.train("--out", "first"))
    assert first.stderr
    assert "compiling" in first.stderr.readline()
    second = place.succeed(*place.train("--out", "second"))
    first.communicate()
    assert first.returncode == 0
    assert "another process compiles it" in second.err and not compiles(second), second
    assert len(place.kept()) == 1, place.kept()


def killed(place: Place) -> None:
    """At any moment; the next command compiles, and clears away what is left."""
    for moment in (0.0, 0.5, 1.5):
        process = place.start(*place.train())
        assert process.stderr
        assert "compiling" in process.stderr.readline()
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert all(name.endswith(".tmp") for name in place.kept()), place.kept()
    assert compiles(place.succeed(*place.train()))
    assert len(place.kept()) == 1 and not place.kept()[0].endswith(".tmp"), place.kept()


def no_compiler(place: Place) -> None:
    place.fail(["cc: cannot be started", "installed"], *place.train(), PATH="/nowhere")
    assert place.kept() == []
    assert compiles(place.succeed(*place.train()))


def no_cache(place: Place) -> None:
    place.fail(["/dev/null/halcyon", "XDG_CACHE_HOME"], *place.train(), XDG_CACHE_HOME="/dev/null")
    place.fail(["XDG_CACHE_HOME", "HOME"], *place.train(), XDG_CACHE_HOME="", HOME="")
    full = place.folder / "full"
    full.mkdir()
    for size in (64, 500):  # KiB: some of the kernels
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(full)], capture_output=True, check=False).returncode:
            print("a full disk is left out: no file system can be mounted here")
            return
        try:
            place.fail([], *place.train(), XDG_CACHE_HOME=str(full))
            assert [path for path in (full / "halcyon" / "models").iterdir() if path.suffix != ".lock"] == []
        finally:
            subprocess.run(["umount", "--lazy", str(full)], check=True)


def damaged_library(place: Place) -> None:
    place.succeed(*place.train())
    library = next(place.models_kept.glob("*/libhalcyon_tiny.so"))
    whole = library.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (whole[:5000], bytes(flipped), b""):
        library.write_bytes(damaged)
        assert compiles(place.succeed(*place.train()))
        assert len(place.kept()) == 1, place.kept()
    library.unlink()
    assert compiles(place.succeed(*place.train()))


def clears_cache(place: Place) -> None:
    assert place.succeed("cache").out == "0 folders, 0.0 MiB\n"
    place.succeed(*place.train())
    others = place.models_kept / "somebody's"
    others.mkdir()
    listed = place.succeed("cache").out
    assert listed.count("a compiled model") == 1 and "1 folders" in listed, listed
    [first] = set(place.kept()) - {"somebody's"}
    place.succeed(*place.train("--schedule", "x86_sse41"))
    assert "2 folders" in place.succeed("cache").out
    assert "1 folders" in place.succeed("cache", first).out
    place.fail(["somebody's: nothing of this name"], "cache", "--clear", first, "somebody's")
    assert "removed 1 folders" in place.succeed("cache", "--clear", first, first).out
    assert len(place.kept()) == 2 and first not in place.kept(), place.kept()
    assert "removed 1 folders" in place.succeed("cache", "--clear").out
    assert place.kept() == ["somebody's"], place.kept()


def refuses(place: Place) -> None:
    place.fail(["model is required"], "summary", code=2)
    place.fail(["a command is required"], code=2)
    place.fail(["no model is named"], "train")
    place.fail(["--weights is required"], "evaluate", place.tiny, code=2)
    place.fail(["nowhere.json", "No such file"], "summary", "nowhere.json")
    place.fail([str(place.folder), "no run's folder", "model.json"], "summary", place.folder)
    place.fail(["x86_mmx", "x86_avx2"], "schedules", place.tiny, "--schedules", "x86_mmx")
    broken = place.folder / "broken.json"
    broken.write_text(place.tiny.read_text().replace('"dense"', '"dance"'))
    place.fail(["broken.json", "dance"], "train", broken)
    assert "MODEL" in place.succeed("train", "--help").out
    assert place.kept() == []


CHECKS = (
    trains_as_linked,
    compiles_once,
    run_is_a_model,
    plans_alone,
    waits_for_another,
    killed,
    no_compiler,
    no_cache,
    damaged_library,
    clears_cache,
    refuses,
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("check", choices=[check.__name__ for check in CHECKS])
    parser.add_argument("--halcyon", required=True)
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tiny", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    check = next(check for check in CHECKS if check.__name__ == arguments.check)
    with tempfile.TemporaryDirectory() as folder:
        check(Place(arguments.halcyon, arguments.trainer, arguments.models, arguments.tiny, pathlib.Path(folder)))


if __name__ == "__main__":
    main()
