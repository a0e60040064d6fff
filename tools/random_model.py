#!/usr/bin/python3
"""Writes ONNX models with made-up weights, without the onnx package. The same bytes each time.

    random_model.py heavy MODEL.onnx     a detector of the size of a ResNet-18 SSD: 6 GFLOP, 47 MB
    random_model.py small MODEL.onnx     the same shape of thing, for tests: 20 kB
    random_model.py wide MODEL.onnx      two layers of 48 MB in all: what takes time is reading the weights
    random_model.py limited MODEL.onnx   y = x, for at most three items at once: a larger batch fails
    random_model.py lookup MODEL.onnx    y = table[x]: numbers of 64 or more fail
    random_model.py pass MODEL.onnx      nearly no work on a 300x300 image: what is left is the way there

Each takes images along a first dimension "N" and treats them one by one.
"""
import struct
import sys

FLOAT, INTS, INT = 1, 7, 2
INT64 = 7  # of tensors


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def ints_attribute(name, values):
    return data(5, data(1, name) + b"".join(number(8, v) for v in values) + number(20, INTS))


def value_info(name, dims):
    shape = b"".join(data(1, data(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return data(1, name) + data(2, data(1, number(1, FLOAT) + data(2, shape)))


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.count = b"", b"", 0

    def node(self, op, inputs, attributes=b"", output=None):
        self.count += 1
        output = output or f"t{self.count}"
        self.nodes += data(1, b"".join(data(1, i) for i in inputs) + data(2, output) +
                           data(3, f"n{self.count}") + data(4, op) + attributes)
        return output

    def weight(self, dims, fan_in):
        """Noise that keeps the size of what passes through it."""
        count = 1
        for dim in dims:
            count *= dim
        scale = (6.0 / fan_in) ** 0.5
        state, block = len(self.weights) % 2147483647 + 1, []
        for _ in range(min(count, 65521)):
            state = state * 48271 % 2147483647
            block.append((state / 2147483647 * 2 - 1) * scale)
        raw = struct.pack(f"<{len(block)}f", *block)
        raw = (raw * (count // len(block) + 1))[:4 * count]
        return self.constant(dims, FLOAT, raw)

    def constant(self, dims, kind, raw):
        name = f"w{self.count}"
        self.count += 1
        self.weights += data(5, b"".join(number(1, d) for d in dims) + number(2, kind) +
                             data(8, name) + data(9, raw))
        return name

    def conv(self, x, channels_in, channels_out, kernel=3, stride=1, output=None):
        weight = self.weight([channels_out, channels_in, kernel, kernel],
                             channels_in * kernel * kernel)
        pad = kernel // 2
        return self.node("Conv", [x, weight], ints_attribute("strides", [stride] * 2) +
                         ints_attribute("pads", [pad] * 4), output)

    def relu(self, x):
        return self.node("Relu", [x])

    def write(self, path, inputs, outputs):
        graph = self.nodes + data(2, "random") + self.weights
        graph += b"".join(data(11, value_info(*i)) for i in inputs)
        graph += b"".join(data(12, value_info(*o)) for o in outputs)
        model = (number(1, 8) + data(2, "random_model") + data(7, graph) +
                 data(8, data(1, "") + number(2, 13)) +
                 data(14, data(1, "purpose") + data(2, "weights without a meaning")))
        with open(path, "wb") as file:
            file.write(model)


def residual(path, size, widths, blocks):
    graph = Graph()
    x = graph.relu(graph.conv("image", 3, widths[0], 7, 2))
    x = graph.node("MaxPool", [x], ints_attribute("kernel_shape", [2, 2]) +
                   ints_attribute("strides", [2, 2]))
    before, side = widths[0], size // 4
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            side //= stride
            short = x if stride == 1 and before == width else graph.conv(x, before, width, 1, stride)
            y = graph.conv(graph.relu(graph.conv(x, before, width, 3, stride)), width, width)
            x = graph.relu(graph.node("Add", [y, short]))
            before = width
    graph.conv(x, before, 24, 3, output="boxes")
    graph.conv(x, before, 126, 3, output="scores")
    graph.write(path, [("image", ["N", 3, size, size])],
                [("boxes", ["N", 24, side, side]), ("scores", ["N", 126, side, side])])


def passing(path):
    graph = Graph()
    graph.node("Relu", ["image"], output="same")
    dims = ["N", 3, 300, 300]
    graph.write(path, [("image", dims)], [("same", dims)])


def wide(path):
    graph = Graph()
    x = graph.relu(graph.node("MatMul", ["features", graph.weight([1024, 4096], 1024)]))
    graph.node("MatMul", [x, graph.weight([4096, 2048], 4096)], output="scores")
    graph.write(path, [("features", ["N", 1024])], [("scores", ["N", 2048])])


def limited(path):
    graph = Graph()
    count = graph.node("Gather", [graph.node("Shape", ["x"]),
                                  graph.constant([], INT64, struct.pack("<q", 0))])
    zeros = graph.constant([4], FLOAT, struct.pack("<4f", 0, 0, 0, 0))
    graph.node("Add", ["x", graph.node("Gather", [zeros, count])], output="y")
    graph.write(path, [("x", ["N", 64])], [("y", ["N", 64])])


def lookup(path):
    graph = Graph()
    index = graph.node("Cast", ["x"], data(5, data(1, "to") + number(3, INT64) + number(20, INT)))
    graph.node("Gather", [graph.weight([64], 64), index], output="y")
    graph.write(path, [("x", ["N", 64])], [("y", ["N", 64])])


def main(arguments):
    kinds = {
        "heavy": lambda path: residual(path, 288, [64, 128, 256, 512], 2),
        "small": lambda path: residual(path, 32, [4, 8], 1),
        "wide": wide,
        "limited": limited,
        "lookup": lookup,
        "pass": passing,
    }
    if len(arguments) != 2 or arguments[0] not in kinds:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    kinds[arguments[0]](arguments[1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
