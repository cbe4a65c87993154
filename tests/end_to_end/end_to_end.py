"""Trains a shipped network on made data from the command line and compares it with what Keras reached on the same (keras.json).

Usage: end_to_end.py MODEL PROGRAM DATA
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def best_accuracy(program: str, data: str, epochs: int, folder: pathlib.Path) -> float:
    """Of the epochs of a run, on the images that are not trained on."""
    command = [program, "train", "--data", data, "--recipe", "keras", "--epochs", str(epochs), "--out", str(folder)]
    subprocess.run(command, check=True)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return max(line["val_accuracy"] for line in lines if "val_accuracy" in line)


def main() -> None:
    model, program, data = sys.argv[1:]
    keras = json.loads((HERE / "keras.json").read_text())[model]
    with tempfile.TemporaryDirectory() as temporary:
        reached = best_accuracy(program, data, keras["epochs"], pathlib.Path(temporary) / "run")
    mean = sum(keras["accuracies"]) / len(keras["accuracies"])
    # Three standard errors of an accuracy on so many images, and what seeds make of it.
    spread = max(keras["accuracies"]) - min(keras["accuracies"])
    bound = mean - spread - 3 * math.sqrt(mean * (1 - mean) / keras["test_images"])
    print(f"{model}: {reached:.4f}; Keras {keras['accuracies']}, at least {bound:.4f} is wanted")
    if reached < bound:
        sys.exit(1)


if __name__ == "__main__":
    main()
