#!/usr/bin/env python3
"""Writes updates.safetensors: ten steps of Keras in float64 of what optimizers have in common, for updates.cpp to repeat.

    pip install keras jax numpy safetensors
    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python3 make_updates.py

There are the weights of WEIGHTS. The tensors of the file are all of them in one piece, one weight behind the other:

    initial                (n)      before
    gradients              (10, n)  those of each step
    CASE/{step1,step10}    (n)      after that many
    CASE/averages          (n)      the averages after ten, where there are some

and its metadata what each case was made with. The numbers given are exact in float32. A gradient in eight is zero, and those of the fourth
step are large. Some norms are above what they are clipped to, and some are not.
"""

import json
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import jax
import keras
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 10
WEIGHTS = {"conv2d/kernel": (3, 2, 2, 4), "conv2d/bias": (4,), "batch_normalization/gamma": (4,), "dense/kernel": (6, 5)}

SGD = {"learning_rate": 2**-5, "momentum": 0.875}
ADAM = {"learning_rate": 2**-5, "beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2**-10}
CASES = {
    "clipvalue": {"name": "sgd", **SGD, "clipvalue": 0.75},
    "clipnorm": {"name": "sgd", **SGD, "clipnorm": 2.5},
    "global_clipnorm": {"name": "sgd", **SGD, "global_clipnorm": 9.0},
    "global_clipnorm of adam": {"name": "adam", **ADAM, "global_clipnorm": 4.0},
    "max_norm": {
        "name": "sgd",
        **SGD,
        "constraints": {
            "conv2d/kernel": {"type": "max_norm", "max_value": 1.5, "axis": [0]},
            "dense/kernel": {"type": "max_norm", "max_value": 2.5, "axis": [0]},
        },
    },
    "max_norm of filters": {
        "name": "sgd",
        **SGD,
        "constraints": {
            "conv2d/kernel": {"type": "max_norm", "max_value": 3.0, "axis": [0, 1, 2]},
            "dense/kernel": {"type": "max_norm", "max_value": 3.0, "axis": [0, 1]},
        },
    },
    "unit_norm": {
        "name": "adam",
        **ADAM,
        "constraints": {
            "conv2d/kernel": {"type": "unit_norm", "axis": [1, 3]},
            "dense/kernel": {"type": "unit_norm", "axis": [1]},
        },
    },
    "ema": {"name": "sgd", **SGD, "use_ema": True, "ema_momentum": 0.75},
    "ema that overwrites": {
        "name": "adam",
        **ADAM,
        "use_ema": True,
        "ema_momentum": 0.75,
        "ema_overwrite_frequency": 3,
        "constraints": {"dense/kernel": {"type": "max_norm", "max_value": 2.5, "axis": [0]}},
    },
    "exclude of adamw": {"name": "adamw", **ADAM, "weight_decay": 0.25, "exclude_from_weight_decay": ["bias", "gamma"]},
    "exclude of sgd": {"name": "sgd", **SGD, "weight_decay": 0.5, "nesterov": True, "exclude_from_weight_decay": ["kernel"]},
    "non_neg": {"name": "sgd", **SGD, "constraints": {"conv2d/kernel": {"type": "non_neg"}, "dense/kernel": {"type": "non_neg"}}},
}
OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
CONSTRAINTS = {"max_norm": keras.constraints.MaxNorm, "unit_norm": keras.constraints.UnitNorm, "non_neg": keras.constraints.NonNeg}


def split(values: np.ndarray) -> list[np.ndarray]:
    sizes = [int(np.prod(shape)) for shape in WEIGHTS.values()]
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, WEIGHTS.values(), strict=True)]


def without(values: dict, *keys: str) -> dict:
    return {key: value for key, value in values.items() if key not in keys}


def join(variables: list[keras.Variable]) -> np.ndarray:
    return np.concatenate([np.array(variable.value).ravel() for variable in variables])


def steps_of(case: dict, initial: np.ndarray, gradients: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors of a case."""
    optimizer = OPTIMIZERS[case["name"]](**without(case, "name", "constraints", "exclude_from_weight_decay"))
    optimizer.exclude_from_weight_decay(var_names=case.get("exclude_from_weight_decay"))
    values = zip(split(initial), WEIGHTS, strict=True)
    weights = [keras.Variable(value.astype(np.float64), name=name.split("/")[1]) for value, name in values]
    for name, options in case.get("constraints", {}).items():
        weights[list(WEIGHTS).index(name)].constraint = CONSTRAINTS[options["type"]](**without(options, "type"))
    after = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(part.astype(np.float64)) for part in split(gradient)], weights)
        after.append(join(weights))
    tensors = {"step1": after[0], "step10": after[-1]}
    if optimizer.use_ema:
        tensors["averages"] = join(optimizer._model_variables_moving_average)
    return tensors


def main() -> None:
    keras.config.set_floatx("float64")
    random = np.random.default_rng(1)
    count = sum(int(np.prod(shape)) for shape in WEIGHTS.values())
    initial = random.uniform(-2, 2, count).astype(np.float32)
    gradients = random.normal(0, 1, (STEPS, count)).astype(np.float32)
    gradients[:, ::8] = 0
    gradients[3] *= 64
    tensors = {"initial": initial, "gradients": gradients}
    for name, case in CASES.items():
        tensors |= {f"{name}/{kind}": values for kind, values in steps_of(case, initial, gradients).items()}
    metadata = {name: json.dumps(case) for name, case in CASES.items()}
    metadata["weights"] = json.dumps(WEIGHTS)
    save_file(tensors, HERE / "updates.safetensors", metadata | {"keras": keras.__version__, "jax": jax.__version__})


if __name__ == "__main__":
    main()
