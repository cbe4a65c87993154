#!/usr/bin/env python3
"""What a run costs before it trains: the time from the start of the process to its first finished step, and the most memory that it ever
takes beyond the bytes of its data set. Each run trains one step and evaluates.

    bench/startup.py build/release/bin/cifar10 --data /path/to/cifar-10-batches-bin --threads 1
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SYNTHETIC_BYTES = (5000 + 1000) * 3073


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="a compiled model")
    parser.add_argument("--data", default=os.environ.get("CIFAR10_DIR"), help="default: CIFAR10_DIR, else the synthetic set")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--within", nargs=2, type=float, metavar=("MS", "MIB"), help="fail where the best run takes more CPU time, or memory beyond the data")
    return parser.parse_args()


def measure(command):
    """Milliseconds to the end of the first step, which is the first call of the optimizer; those that the main thread was on a CPU; and the peak
    of resident memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = subprocess.Popen([*command, "--out", f"{folder}/run"], env=os.environ | {"HALCYON_VERBOSE": "1"}, text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        calls = []
        for line in run.stderr:
            calls.append(line)
            if " adam_" in line:
                break
        milliseconds = 1e3 * (time.perf_counter() - start)
        on_cpu = int(pathlib.Path(f"/proc/{run.pid}/schedstat").read_text().split()[0]) / 1e6
        calls += run.stderr
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}: {calls[-1].strip() if calls else 'failed'}")
    return milliseconds, on_cpu, 1024 * usage.ru_maxrss


def main():
    arguments = parse_arguments()
    command = [arguments.program, "train", "--epochs", "1", "--limit", "64", "--threads", arguments.threads]
    data_bytes = SYNTHETIC_BYTES
    if arguments.data:
        command += ["--data", arguments.data]
        data_bytes = sum(file.stat().st_size for file in pathlib.Path(arguments.data).rglob("*.bin"))
    times, on_cpu, peaks = zip(*(measure(command) for _ in range(arguments.runs)))
    beyond = [(peak - data_bytes) / 2**20 for peak in peaks]
    print(f"to the first finished step: {statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f} in {len(times)} runs), "
          f"on the CPU {statistics.median(on_cpu):.0f} ms")
    print(f"peak memory beyond the {data_bytes / 2**20:.0f} MiB of data: {statistics.median(beyond):.1f} MiB")
    if arguments.within and (min(on_cpu) > arguments.within[0] or min(beyond) > arguments.within[1]):
        sys.exit(f"more than {arguments.within[0]:g} ms or {arguments.within[1]:g} MiB")


if __name__ == "__main__":
    main()
