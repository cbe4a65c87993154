#!/usr/bin/env python3
"""Makes monitor.json: what Keras's callbacks make of an epoch's metrics, and scikit-learn of classes of different sizes.

Needs keras, jax and scikit-learn: KERAS_BACKEND=numpy make_monitor.py monitor.json
"""
import json
import random
import sys
from typing import Any

import keras
import numpy as np
from sklearn.utils.class_weight import compute_class_weight


class Optimizer:
    learning_rate = 1.0


class Model:
    """As much of a model as the callbacks touch."""

    def __init__(self) -> None:
        self.optimizer = Optimizer()
        self.optimizer.learning_rate = 2.0**-10
        self.stop_training = False

    def get_weights(self) -> list[Any]:
        return []

    def set_weights(self, weights: list[Any]) -> None:
        pass


def values(generator: random.Random, monitor: str, epochs: int) -> list[float]:
    """A curve that improves, then stays level. Multiples of 1/256: Keras compares in float32."""
    sign = 1 if "accuracy" in monitor else -1
    level = [128 + sign * min(epoch, 5) * 8 + generator.randint(-9, 9) for epoch in range(epochs)]
    return [value / 256 for value in level]


def run(monitor: str, curve: list[float], stopping: dict[str, Any], plateau: dict[str, Any]) -> dict[str, Any]:
    mode = "max" if "accuracy" in monitor else "min"
    stop = keras.callbacks.EarlyStopping(monitor, mode=mode, restore_best_weights=True, **stopping)
    reduce = keras.callbacks.ReduceLROnPlateau(
        monitor, mode=mode, **{("min_lr" if key == "min" else key): value for key, value in plateau.items()}
    )
    model = Model()
    for callback in (stop, reduce):
        callback.set_model(model)
        callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(curve):
        rates.append(float(model.optimizer.learning_rate))
        for callback in (stop, reduce):
            callback.on_epoch_end(epoch, {monitor: value})
        if model.stop_training:
            break
    return {
        "monitor": monitor,
        "values": curve,
        "early_stopping": stopping,
        "reduce_on_plateau": plateau,
        "epochs": len(rates),
        "stopped": model.stop_training,
        "best_epoch": stop.best_epoch + 1,
        "rates": rates,
    }


def main() -> None:
    generator = random.Random(1)
    runs = []
    for monitor in ("loss", "accuracy", "val_loss", "val_accuracy"):
        for patience, min_delta in ((0, 0), (1, 1 / 64), (3, 0), (4, 1 / 32), (9, 0)):
            stopping = {"patience": patience, "min_delta": min_delta}
            plateau = {
                "patience": generator.randint(0, 3),
                "min_delta": generator.choice([0, 1 / 128]),
                "factor": 0.5,
                "cooldown": generator.randint(0, 2),
                "min": generator.choice([0, 2.0**-12, 3 * 2.0**-13]),
            }
            runs.append(run(monitor, values(generator, monitor, 20), stopping, plateau))
    counts = [3, 1, 12, 7]
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    with open(sys.argv[1], "w") as file:
        json.dump({"runs": runs, "balanced": {"counts": counts, "weights": weights.tolist()}}, file, indent=1)
        file.write("\n")


main()
