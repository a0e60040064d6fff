"""Writes a small ONNX model without the onnx package: y = x·x·…·x for a square x of any size."""


def _varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _value_info(name):
    dim = _bytes(1, _bytes(2, "N"))
    tensor = _number(1, 1) + _bytes(2, dim + dim)  # float, [N, N]
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))


def write(path, multiplications=12, own=None):
    """`own`: the last step is this operator of the domain "test", which the app itself brings."""
    graph = b""
    previous = "x"
    for i in range(multiplications):
        output = "y" if i == multiplications - 1 else f"t{i}"
        graph += _bytes(1, _bytes(1, previous) + _bytes(1, "x") + _bytes(2, output) +
                        _bytes(3, f"n{i}") + _bytes(4, "MatMul"))
        previous = output
    if own:
        graph = graph.replace(_bytes(2, "y"), _bytes(2, "t"))
        graph += _bytes(1, _bytes(1, "t") + _bytes(2, "y") + _bytes(3, "own") + _bytes(4, own) +
                        _bytes(7, "test"))
    graph += _bytes(2, "g") + _bytes(11, _value_info("x")) + _bytes(12, _value_info("y"))
    model = _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13))
    if own:
        model += _bytes(8, _bytes(1, "test") + _number(2, 1))
    with open(path, "wb") as file:
        file.write(model)
