"""A model file as a PyTorch network: the layers of its JSON one by one, with Keras's semantics and names. Images are (n, c, y, x) in
0..1, outputs the logits."""

import collections
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

Layer = dict[str, Any]
Shape = tuple[int, ...]


class Add(nn.Module):
    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        for other in others:
            first = first + other
        return first


class Flatten(nn.Module):
    """Rows, columns, channels, in this order: what is stored in channels_last is not moved."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.permute(0, 2, 3, 1).flatten(1)


def pair(sizes: int | list[int]) -> tuple[int, int]:
    return (sizes[0], sizes[1]) if isinstance(sizes, list) else (sizes, sizes)


class Rescaling(nn.Module):
    """Of the bytes that images in 0..1 were."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = 255 * scale, offset

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * self.scale + self.offset


def windows(size: int, kernel: int, stride: int, padding: str | tuple[int, int]) -> tuple[int, int, int]:
    """How many windows an axis has, and the padding before and after it, as in Keras: of an odd number the larger half stands after."""
    if padding == "valid":
        padding = (0, 0)
    if padding != "same":
        return (size + sum(padding) - kernel) // stride + 1, *padding
    count = math.ceil(size / stride)
    total = max(0, (count - 1) * stride + kernel - size)
    return count, total // 2, total - total // 2


def placed(layer: Layer, shape: Shape, kernel: tuple[int, int], stride: tuple[int, int]) -> Iterator[tuple[int, ...]]:
    """Both axes' windows: their numbers, and the padding before and after."""
    padding = layer.get("padding", "valid")
    paddings = [tuple(padding[:2]), tuple(padding[2:])] if isinstance(padding, list) else [padding] * 2
    axes = [windows(*axis) for axis in zip(shape, kernel, stride, paddings)]
    return zip(*axes)


def activated(modules: list[nn.Module], layer: Layer) -> list[nn.Module]:
    return modules + [nn.ReLU(inplace=True)] * (layer.get("activation") == "relu")


# Each of these takes a layer, its input's shape (rows, columns, channels) and the rate of dropout, and returns modules and their output's shape.


def conv2d(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    kernel, stride = pair(layer["kernel_size"]), pair(layer.get("strides", 1))
    counts, before, after = placed(layer, shape, kernel, stride)
    # nn.Conv2d pads both sides alike; where Keras does not, a pass of its own does.
    padding = [] if before == after else [nn.ZeroPad2d((before[1], after[1], before[0], after[0]))]
    groups, filters = layer.get("groups", 1), layer["filters"]
    convolution = nn.Conv2d(shape[2], filters, kernel, stride, 0 if padding else before, 1, groups, layer.get("use_bias", True))
    return activated([*padding, convolution], layer), (*counts, filters)


def depthwise_conv2d(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return conv2d(layer | {"groups": shape[2], "filters": shape[2] * layer.get("depth_multiplier", 1)}, shape, rate)


def zero_padding2d(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    (top, bottom), (left, right) = layer["padding"]
    return [nn.ZeroPad2d((left, right, top, bottom))], (top + shape[0] + bottom, left + shape[1] + right, shape[2])


def rescaling(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return [Rescaling(layer["scale"], layer.get("offset", 0))], shape


def batch_normalization(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return [nn.BatchNorm2d(shape[2], layer.get("epsilon", 1e-3), 1 - layer.get("momentum", 0.99))], shape


def max_pooling2d(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    kernel = pair(layer.get("pool_size", 2))
    stride = pair(layer.get("strides", list(kernel)))
    counts, before, after = placed(layer, shape, kernel, stride)
    if any(before) and before != after:
        raise SystemExit(f"torch_network.py: max_pooling2d pads {before} and {after}, which PyTorch cannot do; add it here")
    return [nn.MaxPool2d(kernel, stride, before, ceil_mode=any(after) and not any(before))], (*counts, shape[2])


def average_pooling2d(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    kernel = pair(layer.get("pool_size", 2))
    stride = pair(layer.get("strides", list(kernel)))
    counts, before, after = placed(layer, shape, kernel, stride)
    if before != after:
        raise SystemExit(f"torch_network.py: average_pooling2d pads {before} and {after}, which PyTorch cannot do; add it here")
    return [nn.AvgPool2d(kernel, stride, before, count_include_pad=False)], (*counts, shape[2])


def global_average_pooling2d(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    if layer.get("keepdims", False):
        return [nn.AdaptiveAvgPool2d(1)], (1, 1, shape[2])
    return [nn.AdaptiveAvgPool2d(1), Flatten()], (shape[2],)


def dropout(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return [nn.Dropout(rate)], shape


def flatten(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return [Flatten()], (math.prod(shape),)


def dense(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return activated([nn.Linear(shape[0], layer["units"], bias=layer.get("use_bias", True))], layer), (layer["units"],)


def relu(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return [nn.ReLU6() if layer.get("max_value") == 6 else nn.ReLU()], shape


def add(layer: Layer, shape: Shape, rate: float) -> tuple[list[nn.Module], Shape]:
    return [Add()], shape


LAYERS = {
    "conv2d": conv2d, "batch_normalization": batch_normalization, "max_pooling2d": max_pooling2d, "average_pooling2d": average_pooling2d,
    "global_average_pooling2d": global_average_pooling2d, "dropout": dropout, "flatten": flatten, "dense": dense, "relu": relu, "add": add,
    "depthwise_conv2d": depthwise_conv2d, "zero_padding2d": zero_padding2d, "rescaling": rescaling,
}  # fmt: skip
FIELDS = {
    nn.Conv2d: {"kernel": "weight", "bias": "bias"},
    nn.Linear: {"kernel": "weight", "bias": "bias"},
    nn.BatchNorm2d: {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"},
}
# What these make is read by nothing in their own backward pass, so that a ReLU may take its place.
REPLACEABLE = {"conv2d", "depthwise_conv2d", "batch_normalization", "dense", "add"}


def as_keras(tensor: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """A module's weight, or its gradient, in Keras's order of axes: a view."""
    if tensor.ndim != 4:
        return tensor.T if tensor.ndim == 2 else tensor
    kernel = tensor.permute(2, 3, 1, 0)
    depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
    return kernel.squeeze(2).unflatten(2, (module.groups, -1)) if depthwise else kernel


def named(layers: list[Layer]) -> Iterator[Layer]:
    """The layers with names and inputs: those of the file, else Keras's and the layer before."""
    counts, before = collections.Counter(), "input"
    for layer in layers:
        kind = layer["type"]
        name = layer.get("name")
        if name is None:
            name = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
        yield layer | {"name": name, "inputs": layer.get("inputs", [before])}
        before = name


class Network(nn.Module):
    """A model, parsed from its file, whose every dropout has the same rate."""

    def __init__(self, model: dict[str, Any], rate: float) -> None:
        super().__init__()
        layers = list(named(model["layers"]))
        readers = collections.Counter(name for layer in layers for name in layer["inputs"])
        shapes, kinds = {"input": tuple(model["input"]["shape"])}, {}
        self.steps: list[tuple[str, list[str], list[nn.Module]]] = []
        self.tensors: dict[str, tuple[nn.Module, str]] = {}
        self.parts = nn.ModuleList()
        for layer in layers:
            name, inputs, kind = layer["name"], layer["inputs"], layer["type"]
            if kind not in LAYERS:
                raise SystemExit(f"torch_network.py: there is no {kind} yet; add it to LAYERS")
            modules, shapes[name] = LAYERS[kind](layer, shapes[inputs[0]], rate)
            if kind == "relu":
                modules[0].inplace = kinds.get(inputs[0]) in REPLACEABLE and readers[inputs[0]] == 1
            self.parts.extend(modules)
            self.steps.append((name, inputs, modules))
            for module in modules:
                fields = {field: own for field, own in FIELDS.get(type(module), {}).items() if getattr(module, own) is not None}
                self.tensors |= {f"{name}/{field}": (module, own) for field, own in fields.items()}
            kinds[name] = kind
        self.last_readers = self.find_last_readers()

    def find_last_readers(self) -> list[list[str]]:
        """By the step that reads a value last, the values: they are let go of there, as a chain of layers does."""
        last = {name: step for step, (_, inputs, _) in enumerate(self.steps) for name in inputs}
        return [[name for name in last if last[name] == step] for step in range(len(self.steps))]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = {"input": images}
        for (name, inputs, modules), done in zip(self.steps, self.last_readers):
            arguments = [values[key] for key in inputs]
            for key in done:
                del values[key]
            for module in modules:
                arguments = [module(*arguments)]
            values[name] = arguments[0]
        return arguments[0]

    def load(self, arrays: dict[str, torch.Tensor]) -> None:
        """Tensors by Keras's names, in its order of axes."""
        if set(arrays) != set(self.tensors):
            raise SystemExit(f"torch_network.py: these weights are in the file or in the network alone: {set(arrays) ^ set(self.tensors)}")
        with torch.no_grad():
            for name, (module, field) in self.tensors.items():
                as_keras(getattr(module, field), module).copy_(arrays[name])

    def gradients(self) -> dict[str, torch.Tensor]:
        """By Keras's names, of what is trained."""
        parameters = {name: (getattr(module, field), module) for name, (module, field) in self.tensors.items()}
        return {name: as_keras(value.grad, module) for name, (value, module) in parameters.items() if isinstance(value, nn.Parameter)}
