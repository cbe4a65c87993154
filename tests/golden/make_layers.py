#!/usr/bin/env python3
"""Writes layers.safetensors: what Keras's layers make in float64 of given inputs and gradients, for layers.cpp to repeat.

    pip install keras jax safetensors
    KERAS_BACKEND=jax python3 make_layers.py

Its tensors, of each case:

    CASE/x0, x1, ...      (n, rows, columns, channels)  the inputs
    CASE/output                                         of the last layer
    CASE/d_output                                       a gradient of it
    CASE/d_x0, ...                                      those of the inputs
    CASE/LAYER/WEIGHT                                   the weights, by Halcyon's names
    CASE/d_LAYER/WEIGHT                                 their gradients

and its metadata the case's layers, as a model file has them. Keras has no pool with padding of its own choice: -infinity stands around the
input of a maximum, and a mean is that of zeros around the input, divided by that of ones. A pool in PyTorch's ceil_mode has as much more
behind the input as its last window needs.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import keras
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
IMAGES = 2

Layer = dict[str, Any]
Tensors = dict[str, np.ndarray]

# The shapes of the inputs, and the layers: each reads the one before, the first x0.
CASES: dict[str, tuple[list[tuple[int, int, int]], list[Layer]]] = {
    "average_pooling2d": ([(5, 6, 3)], [{"type": "average_pooling2d", "pool_size": 2}]),
    "average_pooling2d strides": ([(7, 6, 3)], [{"type": "average_pooling2d", "pool_size": [2, 3], "strides": [3, 1]}]),
    "average_pooling2d same": ([(5, 6, 3)], [{"type": "average_pooling2d", "pool_size": 3, "strides": 2, "padding": "same"}]),
    "global_average_pooling2d": ([(5, 4, 3)], [{"type": "global_average_pooling2d"}]),
    "global_average_pooling2d keepdims": ([(5, 4, 3)], [{"type": "global_average_pooling2d", "keepdims": True}]),
    "max_pooling2d": ([(5, 6, 3)], [{"type": "max_pooling2d"}]),
    "max_pooling2d same": ([(5, 6, 3)], [{"type": "max_pooling2d", "pool_size": 3, "strides": [2, 1], "padding": "same"}]),
    "average_pooling2d padding": ([(5, 6, 3)], [{"type": "average_pooling2d", "pool_size": 3, "strides": 2, "padding": [1, 2, 0, 1]}]),
    "max_pooling2d padding": ([(5, 6, 3)], [{"type": "max_pooling2d", "pool_size": [3, 2], "strides": 2, "padding": [2, 0, 1, 1]}]),
    "zero_padding2d": ([(3, 4, 2)], [{"type": "zero_padding2d"}]),
    "zero_padding2d axes": ([(3, 4, 2)], [{"type": "zero_padding2d", "padding": [0, 2]}]),
    "zero_padding2d sides": ([(3, 4, 2)], [{"type": "zero_padding2d", "padding": [[1, 0], [2, 3]]}]),
    "up_sampling2d": ([(3, 4, 2)], [{"type": "up_sampling2d"}]),
    "up_sampling2d size": ([(3, 2, 2)], [{"type": "up_sampling2d", "size": [1, 3], "interpolation": "nearest"}]),
    "add": ([(3, 2, 4), (3, 2, 4)], [{"type": "add", "inputs": ["x0", "x1"]}]),
    "average": ([(3, 2, 4)] * 3, [{"type": "average", "inputs": ["x0", "x1", "x2"]}]),
    "subtract": ([(3, 2, 4), (3, 2, 4)], [{"type": "subtract", "inputs": ["x1", "x0"]}]),
    "maximum": ([(3, 2, 4)] * 3, [{"type": "maximum", "inputs": ["x0", "x1", "x2"]}]),
    "maximum ties": ([(3, 2, 4)] * 2, [{"type": "maximum", "inputs": ["x0", "x1"]}]),
    "multiply": ([(3, 2, 4)] * 3, [{"type": "multiply", "inputs": ["x0", "x1", "x2"]}]),
    "multiply gate": ([(1, 1, 4), (3, 2, 4)], [{"type": "multiply", "inputs": ["x0", "x1"]}]),
    "concatenate": ([(3, 2, 4), (3, 2, 1), (3, 2, 3)], [{"type": "concatenate", "inputs": ["x0", "x1", "x2"]}]),
    "reshape": ([(3, 2, 4)], [{"type": "reshape", "target_shape": [-1]}, {"type": "reshape", "target_shape": [3, -1, 4]}]),
    "global_max_pooling2d": ([(5, 4, 3)], [{"type": "global_max_pooling2d"}]),
    "global_max_pooling2d keepdims": ([(5, 4, 3)], [{"type": "global_max_pooling2d", "keepdims": True}]),
    "prelu": ([(3, 2, 4)], [{"type": "prelu", "shared_axes": [1, 2]}]),
    "dense": ([(3, 2, 4)], [{"type": "dense", "units": 5, "activation": "softmax"}]),
    "softmax": ([(3, 2, 4)], [{"type": "softmax"}]),
    "gelu": ([(3, 2, 4)], [{"type": "dense", "units": 3, "activation": {"type": "gelu", "approximate": True}}]),
    "max_pooling2d ceil": ([(6, 5, 2)], [{"type": "max_pooling2d", "pool_size": [3, 2], "strides": [2, 3], "ceil_mode": True}]),
    "average_pooling2d ceil": (
        [(6, 5, 2)],
        [{"type": "average_pooling2d", "pool_size": [3, 2], "strides": 2, "padding": [1, 0, 0, 1], "ceil_mode": True}],
    ),
    "layer_normalization": ([(3, 2, 4)], [{"type": "layer_normalization"}]),
    "layer_normalization options": ([(3, 2, 5)], [{"type": "layer_normalization", "axis": [3], "epsilon": 0.125, "center": False}]),
    "group_normalization": ([(2, 1, 64)], [{"type": "group_normalization"}]),
    "group_normalization options": ([(3, 4, 6)], [{"type": "group_normalization", "groups": 2, "epsilon": 0.125, "scale": False}]),
    "group_normalization instance": ([(3, 2, 3)], [{"type": "group_normalization", "groups": -1}]),
    "conv2d": ([(5, 4, 3)], [{"type": "conv2d", "filters": 2, "kernel_size": [3, 2], "strides": [1, 2], "padding": "same"}]),
    "conv2d groups": ([(4, 5, 4)], [{"type": "conv2d", "filters": 6, "kernel_size": [2, 3], "groups": 2, "activation": "relu"}]),
    "conv2d dilation": ([(7, 6, 2)], [{"type": "conv2d", "filters": 3, "kernel_size": [3, 2], "dilation_rate": [2, 3]}]),
    "conv2d dilation same": ([(4, 5, 2)], [{"type": "conv2d", "filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}]),
    "depthwise_conv2d": ([(4, 5, 3)], [{"type": "depthwise_conv2d", "kernel_size": 3, "padding": "same"}]),
    "depthwise_conv2d options": (
        [(6, 5, 3)],
        [{"type": "depthwise_conv2d", "kernel_size": [3, 2], "strides": 2, "depth_multiplier": 2, "use_bias": False}],
    ),
    "depthwise_conv2d dilation": ([(6, 5, 2)], [{"type": "depthwise_conv2d", "kernel_size": 2, "dilation_rate": [3, 1]}]),
    "separable_conv2d": ([(4, 5, 3)], [{"type": "separable_conv2d", "filters": 5, "kernel_size": 3, "padding": "same"}]),
    "separable_conv2d options": (
        [(6, 5, 2)],
        [{"type": "separable_conv2d", "filters": 3, "kernel_size": [3, 2], "strides": 2, "depth_multiplier": 3, "activation": "relu"}],
    ),
    "prelu units": ([(3, 2, 4)], [{"type": "prelu"}]),
    "prelu one": ([(3, 2, 4)], [{"type": "prelu", "shared_axes": [1, 2, 3]}]),
    "prelu rows": ([(3, 2, 4)], [{"type": "prelu", "shared_axes": [1]}]),
    "prelu columns and channels": ([(3, 2, 4)], [{"type": "prelu", "shared_axes": [2, 3]}]),
    "prelu flat": ([(3, 2, 4)], [{"type": "flatten"}, {"type": "prelu"}]),
    "prelu flat one": ([(3, 2, 4)], [{"type": "flatten"}, {"type": "prelu", "shared_axes": [1]}]),
    "layer_normalization image": ([(3, 2, 4)], [{"type": "layer_normalization", "axis": [1, 2, 3]}]),
    "layer_normalization image options": (
        [(3, 2, 4)],
        [{"type": "layer_normalization", "axis": [-1, -2, -3], "epsilon": 0.125, "scale": False}],
    ),
    "layer_normalization flat": ([(3, 2, 4)], [{"type": "flatten"}, {"type": "layer_normalization", "center": False}]),
}

KERAS_TYPES = {
    "add": keras.layers.Add,
    "average": keras.layers.Average,
    "concatenate": keras.layers.Concatenate,
    "conv2d": keras.layers.Conv2D,
    "depthwise_conv2d": keras.layers.DepthwiseConv2D,
    "separable_conv2d": keras.layers.SeparableConv2D,
    "maximum": keras.layers.Maximum,
    "multiply": keras.layers.Multiply,
    "dense": keras.layers.Dense,
    "group_normalization": keras.layers.GroupNormalization,
    "layer_normalization": keras.layers.LayerNormalization,
    "flatten": keras.layers.Flatten,
    "prelu": keras.layers.PReLU,
    "softmax": keras.layers.Softmax,
    "reshape": keras.layers.Reshape,
    "subtract": keras.layers.Subtract,
    "average_pooling2d": keras.layers.AveragePooling2D,
    "global_average_pooling2d": keras.layers.GlobalAveragePooling2D,
    "global_max_pooling2d": keras.layers.GlobalMaxPooling2D,
    "max_pooling2d": keras.layers.MaxPooling2D,
    "up_sampling2d": keras.layers.UpSampling2D,
    "zero_padding2d": keras.layers.ZeroPadding2D,
}

# Those that Keras gives a layer without one, where they are not the type.
NAMES = {"prelu": "p_re_lu"}

POOLS = ("average_pooling2d", "max_pooling2d")


def padded(value: Any, margins: list[int], by: float) -> Any:
    top, bottom, left, right = margins
    return keras.ops.pad(value, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=by)


def windows_in_ceil_mode(size: int, before: int, after: int, pool: int, stride: int) -> int:
    """As PyTorch counts them: the last one begins in the input or before it."""
    windows = -(-(before + size + after - pool) // stride) + 1
    return windows - 1 if (windows - 1) * stride >= before + size else windows


def padded_pool(pool: keras.layers.Layer, type_: str, margins: list[int], ceil_mode: bool) -> Callable[[list[Any]], Any]:
    def around(value: Any) -> list[int]:
        if not ceil_mode:
            return margins
        around = list(margins)
        for axis in (0, 1):
            before, after = margins[2 * axis : 2 * axis + 2]
            size, pool_size, stride = value.shape[1 + axis], pool.pool_size[axis], pool.strides[axis]
            windows = windows_in_ceil_mode(size, before, after, pool_size, stride)
            around[2 * axis + 1] = max((windows - 1) * stride + pool_size - before - size, 0)
        return around

    if type_ == "max_pooling2d":
        return lambda values: pool(padded(values[0], around(values[0]), -np.inf))

    def mean(values: list[Any]) -> Any:
        margins = around(values[0])
        return pool(padded(values[0], margins, 0)) / pool(padded(keras.ops.ones_like(values[0]), margins, 0))

    return mean


def activation_of(choice: str | dict[str, Any]) -> Any:
    if isinstance(choice, str):
        return choice
    options = {key: value for key, value in choice.items() if key != "type"}
    return lambda x: keras.activations.get(choice["type"])(x, **options)


def function_of(layer: Layer) -> tuple[keras.layers.Layer, Callable[[list[Any]], Any]]:
    """Keras's layer, with the model file's options under their own names, and what it makes of values."""
    options = {key: value for key, value in layer.items() if key not in ("type", "inputs")}
    ceil_mode = options.pop("ceil_mode", False)
    margins = options.pop("padding") if layer["type"] in POOLS and isinstance(options.get("padding"), list) else None
    if "activation" in options:
        options["activation"] = activation_of(options["activation"])
    made = KERAS_TYPES[layer["type"]](**options, name=NAMES.get(layer["type"], layer["type"]), dtype="float64")
    if margins is not None or ceil_mode:
        return made, padded_pool(made, layer["type"], margins or [0, 0, 0, 0], ceil_mode)
    return made, lambda values: made(values[0] if len(values) == 1 else values)


def tensors_of(shapes: list[tuple[int, int, int]], layers: list[Layer], ties: bool, random: np.random.Generator) -> Tensors:
    inputs = [random.normal(0, 1, (IMAGES, *shape)) for shape in shapes]
    inputs = [np.round(values) for values in inputs] if ties else inputs
    functions = [function_of(layer) for layer in layers]

    def run(*values: Any) -> Any:
        named = {f"x{i}": value for i, value in enumerate(values)}
        output = values[0]
        for layer, (_, function) in zip(layers, functions, strict=True):
            output = function([named[name] for name in layer["inputs"]] if "inputs" in layer else [output])
        return output

    run(*inputs)  # makes the weights
    variables = {f"{made.name}/{variable.name}": variable for made, _ in functions for variable in made.trainable_variables}
    weights = {name: random.normal(0, 1, variable.shape) for name, variable in variables.items()}

    def run_with(weights: Tensors, *values: Any) -> Any:
        with keras.StatelessScope(state_mapping=[(variables[name], value) for name, value in weights.items()]):
            return run(*values)

    output, backward = jax.vjp(run_with, weights, *inputs)
    d_output = random.normal(0, 1, output.shape)
    d_weights, *d_inputs = backward(d_output)
    tensors = {f"x{i}": value for i, value in enumerate(inputs)} | {"output": output, "d_output": d_output} | weights
    tensors |= {f"d_x{i}": value for i, value in enumerate(d_inputs)} | {f"d_{name}": value for name, value in d_weights.items()}
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def main() -> None:
    keras.config.set_floatx("float64")
    random = np.random.default_rng(1)
    tensors, metadata = {}, {"keras": keras.__version__, "jax": jax.__version__}
    for case, (shapes, layers) in CASES.items():
        tensors |= {f"{case}/{name}": value for name, value in tensors_of(shapes, layers, case.endswith("ties"), random).items()}
        metadata[case] = json.dumps(layers)
    save_file(tensors, HERE / "layers.safetensors", metadata)


if __name__ == "__main__":
    main()
