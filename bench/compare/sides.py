"""The frameworks that compare.py measures Halcyon against. Each is a process that is kept alive and does one thing at a time: it reads a
JSON object a line, {"do": METHOD, ARGUMENT: VALUE...}, and answers with {"result": ...}. Started as: sides.py NAME DATA BATCH THREADS"""

import json
import os
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))

DROPOUT = [0.25] * 4
ADAM = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


def load_images(folder, files):
    """CIFAR-10's records: (images, 32, 32, 3) in 0..1 and labels."""
    files = sorted(pathlib.Path(folder).glob(files))
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 3073) for file in files])
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images.astype(np.float32) / 255, records[:, 0].astype(np.int64)


class Keras:
    """Keras's own fit() on TensorFlow; `jit` is compile()'s jit_compile."""

    def __init__(self, folder, batch, threads, jit):
        import keras
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        self.keras, self.batch, self.jit = keras, batch, jit
        self.versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__}
        self.images, self.labels = load_images(folder, "data_batch_*.bin")
        self.test_images, _ = load_images(folder, "test_batch.bin")
        self.network = self.compiled(DROPOUT)

    def compiled(self, rates):
        from make_golden import keras_network

        network = keras_network(rates)
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
        network = self.compiled([0] * 4)
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

    def __init__(self, folder, batch, threads, compile):
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.torch, self.batch, self.compile = torch, batch, compile
        self.versions = {"torch": torch.__version__}
        images, labels = load_images(folder, "data_batch_*.bin")
        test_images, _ = load_images(folder, "test_batch.bin")
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2)  # a view: channels_last
        self.test_images = torch.from_numpy(test_images).permute(0, 3, 1, 2)
        self.labels = torch.from_numpy(labels)
        self.network, self.optimizer = self.compiled(DROPOUT)

    def compiled(self, rates):
        nn = self.torch.nn

        def convolution(inputs, outputs):
            return [nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)]

        network = nn.Sequential(
            *convolution(3, 32), nn.MaxPool2d(2), nn.Dropout(rates[0]),
            *convolution(32, 64), *convolution(64, 64), nn.MaxPool2d(2, ceil_mode=True), nn.Dropout(rates[1]),
            *convolution(64, 128), *convolution(128, 128), nn.MaxPool2d(2), nn.Dropout(rates[2]),
            nn.Flatten(), nn.Linear(128, 128), nn.ReLU(), nn.Dropout(rates[3]), nn.Linear(128, 10),
        ).to(memory_format=self.torch.channels_last)  # fmt: skip
        optimizer = self.torch.optim.Adam(
            network.parameters(), ADAM["learning_rate"], (ADAM["beta_1"], ADAM["beta_2"]), ADAM["epsilon"], fused=True
        )
        return self.torch.compile(network) if self.compile else network, optimizer

    def load(self, file):
        from safetensors.numpy import load_file

        self.initial = load_file(file)
        self.restore(self.network)

    def restore(self, network):
        """Keras's arrays under PyTorch's names, layer by layer in the same order."""
        nn, arrays = self.torch.nn, iter(self.initial[name] for name in plan_order(self.initial))
        layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
        with self.torch.no_grad():
            for layer in layers:
                fields = ["weight", "bias"] + (["running_mean", "running_var"] if isinstance(layer, nn.BatchNorm2d) else [])
                for field in fields:
                    array = self.torch.from_numpy(next(arrays))
                    array = array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T if array.ndim == 2 else array
                    getattr(layer, field).copy_(array)

    def logits(self, images):
        self.network.eval()
        with self.torch.no_grad():
            return self.network(self.test_images[:images]).tolist()

    def epoch(self, network, optimizer, order):
        network.train()
        total = self.torch.zeros(())
        for first in range(0, len(order), self.batch):
            records = order[first : first + self.batch]
            images = self.images[records].contiguous(memory_format=self.torch.channels_last)
            loss = self.torch.nn.functional.cross_entropy(network(images), self.labels[records])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(records)
        return total.item() / len(order)

    def loss(self, images):
        network, optimizer = self.compiled([0] * 4)
        self.restore(network)
        return self.epoch(network, optimizer, self.torch.arange(images))

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


SIDES = {
    "keras": lambda *where: Keras(*where, jit="auto"),
    "keras-xla": lambda *where: Keras(*where, jit=True),
    "torch": lambda *where: Torch(*where, compile=False),
    "torch-compiled": lambda *where: Torch(*where, compile=True),
}


def main():
    name, data, batch, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the frameworks print goes to stderr

    def answer(result):
        answers.write(json.dumps({"result": result}) + "\n")

    side = SIDES[name](data, int(batch), int(threads))
    answer(side.versions)
    for line in sys.stdin:
        order = json.loads(line)
        answer(getattr(side, order.pop("do"))(**order))


if __name__ == "__main__":
    main()
