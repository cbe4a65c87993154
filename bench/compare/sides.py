"""The frameworks that compare.py measures Halcyon against. Each is a process that is kept alive and does one thing at a time: it reads a
JSON object a line, {"do": METHOD, ARGUMENT: VALUE...}, and answers with {"result": ...}. Started as: sides.py MEASURE NAME OPTIONS,
where MEASURE is training or inference and OPTIONS a JSON object: data, batch, threads, and Halcyon's library and schedule."""

import ctypes
import functools
import json
import os
import pathlib
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
DROPOUT = 0.25
ADAM = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


def read_model(name):
    return json.loads((MODELS / f"{name}.json").read_text())


def load_records(folder, files):
    """Images as (n, rows, columns, channels) bytes, and labels: the folder's arrays, or where there are none CIFAR-10's records."""
    folder = pathlib.Path(folder)
    if (folder / "images.npy").exists():
        return np.load(folder / "images.npy"), np.load(folder / "labels.npy").astype(np.int64)
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 3073) for file in sorted(folder.glob(files))])
    return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64)


def load_images(folder, files):
    """The records' images in 0..1, and labels."""
    images, labels = load_records(folder, files)
    return images.astype(np.float32) / 255, labels


class Keras:
    """Keras's own fit() on TensorFlow; `jit` is compile()'s jit_compile."""

    def __init__(self, data, batch, threads, jit):
        import keras
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        self.keras, self.batch, self.jit = keras, batch, jit
        self.versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__}
        self.images, self.labels = load_images(data, "data_batch_*.bin")
        self.test_images, _ = load_images(data, "test_batch.bin")
        self.network = self.compiled(DROPOUT)

    def compiled(self, rate):
        from make_golden import keras_network

        network = keras_network([rate] * 4)
        loss = self.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(self.keras.optimizers.Adam(**ADAM), loss, metrics=["accuracy"], jit_compile=self.jit)
        return network

    def weights(self, network):
        from make_golden import weights_of

        return weights_of(network)

    def save(self, file):
        from safetensors.numpy import save_file

        save_file({name: weight.numpy() for name, weight in self.weights(self.network).items()}, file)

    def load(self, file):
        from safetensors.numpy import load_file

        self.initial = load_file(file)
        self.restore(self.network)

    def restore(self, network):
        for name, weight in self.weights(network).items():
            weight.assign(self.initial[name])

    def logits(self, images):
        """Of the first test images."""
        return np.asarray(self.network(self.test_images[:images], training=False)).tolist()

    def loss(self, images):
        """The mean loss of an epoch of the first training images, in their order, without dropout."""
        network = self.compiled(0)
        self.restore(network)
        history = network.fit(self.images[:images], self.labels[:images], batch_size=self.batch, shuffle=False, verbose=0)
        return history.history["loss"][0]

    def window(self, images):
        """Seconds from the first step's begin to the last one's end."""
        clock = {}
        timer = self.keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda step, logs: clock.setdefault("begin", time.perf_counter()),
            on_epoch_end=lambda epoch, logs: clock.setdefault("end", time.perf_counter()),
        )
        self.network.fit(self.images[:images], self.labels[:images], batch_size=self.batch, verbose=0, callbacks=[timer])
        return clock["end"] - clock["begin"]


class Torch:
    """PyTorch, in channels_last with the fused Adam; `compile` is torch.compile on the network."""

    def __init__(self, data, batch, threads, compile, model="cifar10"):
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.torch, self.data, self.batch, self.compile, self.model = torch, data, batch, compile, read_model(model)
        self.versions = {"torch": torch.__version__}
        self.network, self.optimizer = self.compiled(DROPOUT)

    def load_images(self, files):
        images, labels = load_images(self.data, files)
        return self.torch.from_numpy(images).permute(0, 3, 1, 2), self.torch.from_numpy(labels)  # a view: channels_last

    @functools.cached_property
    def training_set(self):
        return self.load_images("data_batch_*.bin")

    @functools.cached_property
    def test_images(self):
        return self.load_images("test_batch.bin")[0]

    def compiled(self, rate):
        from torch_network import Network

        network = Network(self.model, rate).to(memory_format=self.torch.channels_last)
        optimizer = self.torch.optim.Adam(
            network.parameters(), ADAM["learning_rate"], (ADAM["beta_1"], ADAM["beta_2"]), ADAM["epsilon"], fused=True
        )
        # A batch of its own size each: the first other one would make it compile for any size, which is slower.
        return self.torch.compile(network, dynamic=False) if self.compile else network, optimizer

    def load(self, file):
        from safetensors.numpy import load_file

        self.initial = load_file(file)
        self.restore(self.network)

    def restore(self, network):
        """Under torch.compile too the network has its own methods."""
        network.load({name: self.torch.from_numpy(array) for name, array in self.initial.items()})

    def logits(self, images):
        self.network.eval()
        with self.torch.no_grad():
            return self.network(self.test_images[:images]).tolist()

    def epoch(self, network, optimizer, order):
        network.train()
        all_images, labels = self.training_set
        total = self.torch.zeros((), device=order.device)
        for first in range(0, len(order), self.batch):
            records = order[first : first + self.batch]
            images = all_images[records].contiguous(memory_format=self.torch.channels_last)
            loss = self.torch.nn.functional.cross_entropy(network(images), labels[records])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(records)
        return total.item() / len(order)

    def loss(self, images):
        network, optimizer = self.compiled(0)
        self.restore(network)
        return self.epoch(network, optimizer, self.torch.arange(images))

    def gradients_apart(self, images, file, rate):
        """How far the gradients of the loss of the first images are, in float64 without dropout, from those that led in one step, at this
        rate, from the weights that were loaded to those of the file: of every weight the norms of the difference and of the gradient."""
        from safetensors.numpy import load_file
        from torch_network import Network

        network = Network(self.model, 0).to(memory_format=self.torch.channels_last).double()
        self.restore(network)
        all_images, labels = self.training_set
        self.torch.nn.functional.cross_entropy(network(all_images[:images].double()), labels[:images]).backward()
        after, apart = load_file(file), {}
        for name, gradient in network.gradients().items():
            other = self.torch.from_numpy((self.initial[name].astype(np.float64) - after[name]) / rate)
            apart[name] = (gradient - other).norm().item(), gradient.norm().item()
        return apart

    def window(self, images):
        order = self.torch.randperm(images)
        begin = time.perf_counter()
        self.epoch(self.network, self.optimizer, order)
        return time.perf_counter() - begin


def plan_order(names):
    """Keras's weight names in the network's order: conv2d/kernel, conv2d/bias, batch_normalization/gamma, ..."""
    fields = ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]
    kinds = ["conv2d", "batch_normalization", "dense"]

    def key(name):
        layer, field = name.split("/")
        kind = max((kind for kind in kinds if layer.startswith(kind)), key=len)
        number = int(layer[len(kind) + 1 :] or 0)
        return kind == "dense", number, kinds.index(kind), fields.index(field)

    return sorted(names, key=key)


class Inference:
    """A network that runs the batches of the test images, which are in memory as it takes them, one after the other."""

    def prepare(self, images):
        self.batches = [images[first : first + self.batch] for first in range(0, len(images) - self.batch + 1, self.batch)]

    def logits(self, images):
        """Of the first test images."""
        return np.concatenate([self.run(batch).copy() for batch in self.batches[: -(-images // self.batch)]])[:images].tolist()

    def window(self, seconds):
        """Images a second, and the median of a batch's milliseconds."""
        times, begin = [], time.perf_counter()
        now = begin
        while now < begin + seconds:
            self.run(self.batches[len(times) % len(self.batches)])
            times.append(time.perf_counter() - now)
            now += times[-1]
        return {"images/s": self.batch * len(times) / sum(times), "ms": 1e3 * statistics.median(times)}


class HalcyonInference(Inference):
    """The compiled network through its C API, runtime/halcyon.h. It takes bytes; scaling them is part of what it does."""

    def __init__(self, data, batch, threads, library, schedule, model="cifar10"):
        self.batch, self.versions = batch, {"schedule": schedule}
        self.library = ctypes.CDLL(library)
        function = getattr(self.library, f"halcyon_{model}")
        function.restype = ctypes.c_void_p
        self.library.halcyon_last_error.restype = ctypes.c_char_p
        self.network = ctypes.c_void_p()
        self.check(self.library.halcyon_open(ctypes.c_void_p(function()), schedule.encode(), threads, batch, ctypes.byref(self.network)))
        self.probabilities = np.empty((batch, read_model(model)["layers"][-1]["units"]), np.float32)
        self.prepare(load_records(data, "test_batch.bin")[0])

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.halcyon_last_error(self.network).decode())

    def load(self, file):
        self.check(self.library.halcyon_load_weights(self.network, file.encode()))

    def run(self, images):
        """Logarithms of the probabilities are the logits up to a constant of each image."""
        address = ctypes.c_void_p(images.ctypes.data)
        self.check(self.library.halcyon_predict(self.network, address, len(images), ctypes.c_void_p(self.probabilities.ctypes.data)))
        return self.probabilities

    def logits(self, images):
        return np.log(super().logits(images)).tolist()


class TorchInference(Inference, Torch):
    def __init__(self, data, batch, threads, compile, model="cifar10"):
        import torch._inductor.config

        torch._inductor.config.freezing = True  # weights are constants: folds batch normalisation and packs the weights
        Torch.__init__(self, data, batch, threads, compile, model)
        self.network.eval()
        self.prepare(self.test_images)

    def run(self, images):
        with self.torch.no_grad():
            return self.network(images).numpy()


class OnnxRuntime(Inference):
    def __init__(self, data, batch, threads):
        import onnxruntime

        self.batch, self.versions = batch, {"onnxruntime": onnxruntime.__version__}
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.prepare(planes(data))

    def load(self, file):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(onnx_model(file, self.batch), self.options, providers=["CPUExecutionProvider"])

    def run(self, images):
        return self.session.run(None, {"images": images})[0]


class OpenVino(Inference):
    def __init__(self, data, batch, threads):
        import openvino

        self.batch, self.threads, self.versions = batch, threads, {"openvino": openvino.__version__.split("-")[0]}
        self.core = openvino.Core()
        self.prepare(planes(data))

    def load(self, file):
        hints = {"INFERENCE_NUM_THREADS": self.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self.request = self.core.compile_model(self.core.read_model(onnx_model(file, self.batch)), "CPU", hints).create_infer_request()

    def run(self, images):
        return self.request.infer([images], share_inputs=True, share_outputs=True)[0]


def planes(data):
    """The test images as ONNX has them: (n, c, y, x) in 0..1."""
    return np.ascontiguousarray(load_images(data, "test_batch.bin")[0].transpose(0, 3, 1, 2))


def onnx_model(file, batch):
    """models/cifar10.json up to the logits, with the weights of a safetensors file, for batches of this size, serialized."""
    from onnx import TensorProto, checker, helper, numpy_helper
    from safetensors.numpy import load_file

    weights = load_file(file)
    arrays = iter(weights[name] for name in plan_order(weights))
    nodes, constants = [], []

    def add(operator, *parameters, **attributes):
        names = [f"{operator}{len(nodes)}.{i}" for i in range(len(parameters))]
        constants.extend(numpy_helper.from_array(np.ascontiguousarray(array), name) for array, name in zip(parameters, names))
        before = nodes[-1].output[0] if nodes else "images"
        nodes.append(helper.make_node(operator, [before, *names], [f"{operator}{len(nodes)}"], **attributes))

    for layer in read_model("cifar10")["layers"]:
        padding = {"auto_pad": "SAME_UPPER" if layer.get("padding") == "same" else "VALID"}
        if layer["type"] == "conv2d":
            add("Conv", next(arrays).transpose(3, 2, 0, 1), next(arrays), **padding)
        elif layer["type"] == "batch_normalization":
            add("BatchNormalization", *(next(arrays) for _ in range(4)), epsilon=1e-3)
        elif layer["type"] == "max_pooling2d":
            add("MaxPool", kernel_shape=[layer["pool_size"]] * 2, strides=[layer["pool_size"]] * 2, **padding)
        elif layer["type"] == "flatten":
            add("Transpose", perm=[0, 2, 3, 1])
            add("Flatten")
        elif layer["type"] == "dense":
            add("Gemm", next(arrays), next(arrays))
        if layer.get("activation") == "relu":
            add("Relu")

    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 32, 32])
    logits = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [batch, 10])
    graph = helper.make_graph(nodes, "cifar10", [images], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    return model.SerializeToString()


SIDES = {
    "training": {
        "keras": functools.partial(Keras, jit="auto"),
        "keras-xla": functools.partial(Keras, jit=True),
        "torch": functools.partial(Torch, compile=False),
        "torch-compiled": functools.partial(Torch, compile=True),
    },
    "inference": {
        "halcyon": HalcyonInference,
        "onnxruntime": OnnxRuntime,
        "openvino": OpenVino,
        "torch": functools.partial(TorchInference, compile=False),
        "torch-compiled": functools.partial(TorchInference, compile=True),
    },
}


def main():
    measure, name, options = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the frameworks print goes to stderr

    def answer(result):
        answers.write(json.dumps({"result": result}) + "\n")

    side = SIDES[measure][name](**json.loads(options))
    answer(side.versions)
    for line in sys.stdin:
        order = json.loads(line)
        answer(getattr(side, order.pop("do"))(**order))


if __name__ == "__main__":
    main()
