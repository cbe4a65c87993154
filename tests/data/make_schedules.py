#!/usr/bin/env python3
"""Writes schedules.json: the learning rates of 100 steps, 10 an epoch, by Keras's schedules and by the formulas of PyTorch's.

    pip install keras tensorflow-cpu numpy
    KERAS_BACKEND=tensorflow python3 make_schedules.py

Each row has a recipe's learning_rate and the rates that a step has by it. PyTorch's StepLR and MultiStepLR are called after every epoch, and
Keras's schedules before every step.
"""

import json
import pathlib
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
STEPS, STEPS_PER_EPOCH, PEAK = 100, 10, 0.05


def by_step_size(step: int) -> float:
    return PEAK * 0.5 ** (step // STEPS_PER_EPOCH // 3)


def by_milestones(step: int) -> float:
    return PEAK * 0.5 ** sum(step // STEPS_PER_EPOCH >= milestone for milestone in (2, 7))


def main() -> None:
    import keras
    from keras.optimizers import schedules as by_keras

    keras.config.set_floatx("float64")
    rows: list[tuple[dict[str, object], Callable[[int], float]]] = [
        ({"schedule": "step", "step_size": 3, "factor": 0.5}, by_step_size),
        ({"schedule": "multi_step", "milestones": [2, 7], "factor": 0.5}, by_milestones),
        ({"schedule": "exponential", "decay_rate": 0.9, "decay_steps": 7}, by_keras.ExponentialDecay(PEAK, 7, 0.9)),
        ({"schedule": "inverse_time", "decay_rate": 0.5, "decay_steps": 9}, by_keras.InverseTimeDecay(PEAK, 9, 0.5)),
        ({"schedule": "polynomial", "end": 0.01, "power": 2, "decay_steps": 60}, by_keras.PolynomialDecay(PEAK, 60, 0.01, 2.0)),
        ({"schedule": "polynomial"}, by_keras.PolynomialDecay(PEAK, STEPS, 1e-4, 1.0)),
        ({"schedule": "cosine", "alpha": 0.1, "decay_steps": 80}, by_keras.CosineDecay(PEAK, 80, 0.1)),
        (
            {"schedule": "cosine", "warmup_steps": 15},
            by_keras.CosineDecay(0.0, STEPS - 15, 0.0, warmup_target=PEAK, warmup_steps=15),
        ),
        (
            {"schedule": "cosine_restarts", "first_decay_steps": 11, "m_mul": 0.8, "alpha": 0.05},
            by_keras.CosineDecayRestarts(PEAK, 11, 2.0, 0.8, 0.05),
        ),
        (
            {"schedule": "cosine_restarts", "first_decay_steps": 20, "t_mul": 1},
            by_keras.CosineDecayRestarts(PEAK, 20, 1.0, 1.0, 0.0),
        ),
    ]
    rows += [({**rate, "per": "epoch"}, lambda step, of=of: of(step // STEPS_PER_EPOCH * STEPS_PER_EPOCH)) for rate, of in rows[4:7]]
    golden = [{"learning_rate": {**rate, "peak": PEAK}, "rates": [float(of(step)) for step in range(STEPS)]} for rate, of in rows]
    (HERE / "schedules.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in golden) + "\n]\n")


if __name__ == "__main__":
    main()
