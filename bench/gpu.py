#!/usr/bin/env python3
"""All that is to be shown where there is a GPU, in one command: the tests of the set, ten epochs on CIFAR-10 with their accuracy and time,
images a second of training beside PyTorch (eager, compiled, and as a CUDA graph; float32, TF32 off and on) where this Python has one
that finds the GPU, and every kernel beside the device's peaks.

    bench/gpu.py --data /path/to/cifar-10-batches-bin [--schedule cuda] [--epochs 10] [--batch 64 256 1024]

--schedule opencl --epochs 1 --limit 640 --batch 64 tries it out on PoCL.
"""

import argparse
import functools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = ROOT / "build" / "release" / "bin"
sys.path.insert(0, str(HERE / "compare"))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("CIFAR10_DIR"), help="CIFAR-10's binary files; default: CIFAR10_DIR")
    parser.add_argument("--schedule", default="cuda", choices=["cuda", "opencl"])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--limit", type=int, default=50000, help="training images of an epoch")
    parser.add_argument("--windows", type=int, default=5, help="timed epochs of each side, in turns")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("name the folder of CIFAR-10's binary files: --data or CIFAR10_DIR")
    return arguments


def title(text):
    print(f"\n== {text}", flush=True)


def train(arguments, batch, epochs, *more):
    """The lines of metrics.jsonl of a run."""
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        command = [BIN / "cifar10", "train", "--schedule", arguments.schedule, "--data", arguments.data, "--batch", str(batch)]
        command += ["--epochs", str(epochs), "--limit", str(arguments.limit), "--out", run, *more]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"gpu.py: {done.stderr.strip()}")
        print("\n".join(line for line in done.stdout.splitlines() if line.startswith("schedule")))
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


class GpuTorch:
    """compare.py's PyTorch network and epoch, with everything on the GPU."""

    def __init__(self, data, batch, mode, tf32):
        import sides
        import torch

        self.torch, self.batch, self.tf32 = torch, batch, tf32
        self.set_precision()
        self.side = sides.Torch(data, batch, os.cpu_count(), False)
        self.side.training_set = [tensor.cuda() for tensor in self.side.training_set]
        network, optimizer = self.side.compiled(sides.DROPOUT)
        self.network = network.cuda()
        for group in optimizer.param_groups:
            group["capturable"] = True
        self.optimizer = optimizer
        if mode == "compiled":
            self.network = torch.compile(self.network, dynamic=False)
        if mode == "graphed":
            sample = self.side.training_set[0][:batch].contiguous(memory_format=torch.channels_last)
            self.network = torch.cuda.make_graphed_callables(self.network.train(), (sample,))

    def set_precision(self):
        backends = self.torch.backends
        backends.cudnn.benchmark = True
        backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = self.tf32

    def window(self, images):
        """Images a second of an epoch of whole batches, its own shuffle on the GPU."""
        self.set_precision()
        order = self.torch.randperm(images // self.batch * self.batch, device="cuda")
        self.torch.cuda.synchronize()
        begin = time.perf_counter()
        self.side.epoch(self.network, self.optimizer, order)  # its mean loss is read at the end: it waits for the GPU
        return len(order) / (time.perf_counter() - begin)


def torch_sides(data, batch):
    """PyTorch's ways of training, or nothing where there is no PyTorch or it finds no GPU."""
    try:
        import torch
    except ImportError:
        print("no PyTorch in this Python: Halcyon alone")
        return {}
    if not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no GPU: Halcyon alone")
        return {}
    return {
        f"torch {torch.__version__} {mode}, TF32 {'on' if tf32 else 'off'}": GpuTorch(data, batch, mode, tf32)
        for mode in ["eager", "compiled", "graphed"]
        for tf32 in [False, True]
    }


def compare(arguments, batch):
    title(f"training, batch {batch}: images/s, median of {arguments.windows} windows in turns")
    sides = {f"halcyon, {arguments.schedule}": lambda: train(arguments, batch, 1, "--no-evaluate")[0]["images_per_second"]}
    for name, side in torch_sides(arguments.data, batch).items():
        sides[name] = functools.partial(side.window, arguments.limit)
    for window in sides.values():
        window()  # compiles
    speeds = {name: [] for name in sides}
    for _ in range(arguments.windows):
        for name, window in sides.items():
            speeds[name].append(window())
    for name, values in speeds.items():
        print(f"{name:40} {statistics.median(values):9.0f}  ({min(values):.0f} to {max(values):.0f})")


def main():
    arguments = parse_arguments()
    title("devices")
    subprocess.run([BIN / "cifar10", "schedules"], check=True)

    title(f"tests of {arguments.schedule}")
    tests = subprocess.run([ROOT / ".venv" / "bin" / "ctest", "--preset", "release", "-R", arguments.schedule], cwd=ROOT)

    title(f"{arguments.epochs} epochs of {arguments.limit} images at batch {arguments.batch[0]}")
    begin = time.perf_counter()
    lines = train(arguments, arguments.batch[0], arguments.epochs)
    print(f"{time.perf_counter() - begin:.1f} s with loading and evaluation, {sum(line['seconds'] for line in lines):.1f} s of training")
    print(f"test accuracy after the last epoch {100 * lines[-1]['val_accuracy']:.2f} %")

    for batch in arguments.batch:
        compare(arguments, batch)

    title("kernels and steps beside the device's peaks")
    batches = ",".join(map(str, arguments.batch))
    tuned = f"/{arguments.schedule}/[^g]"  # not gpu_reference
    subprocess.run([BIN / "cifar10_bench", f"--batch={batches}", f"--benchmark_filter={tuned}"], check=True)
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main())
