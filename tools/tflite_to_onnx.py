#!/usr/bin/python3
"""Converts a float TFLite model (fp16 or fp32 weights) to ONNX.

    tflite_to_onnx.py MODEL.tflite MODEL.onnx

Covers the operators that small convolutional detectors use: CONV_2D,
DEPTHWISE_CONV_2D, ADD, RESHAPE, CONCATENATION, and DEQUANTIZE of fp16
constants. Anything else is refused by name. Inputs and outputs keep the shapes
they have in the TFLite file (NHWC); inside, convolutions run in NCHW.

The same input always gives the same bytes, so the result can be pinned by hash
(as long as python3-onnx is the same). Opset 10 is on purpose: its Clip carries
its bounds as attributes, which OpenCV's DNN module needs and ONNX Runtime takes.
"""
import struct
import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

OPSET, IR_VERSION = 10, 5

# Names from TFLite's schema.fbs, for what is converted and for error messages.
OPERATORS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
    5: "DEPTH_TO_SPACE", 6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 11: "L2_NORMALIZATION",
    14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE",
    23: "RESIZE_BILINEAR", 25: "SOFTMAX", 28: "TANH", 32: "CUSTOM", 34: "PAD", 39: "TRANSPOSE",
    40: "MEAN", 41: "SUB", 42: "DIV", 43: "SQUEEZE", 45: "STRIDED_SLICE", 49: "SPLIT",
    53: "CAST", 54: "PRELU", 65: "SLICE", 67: "TRANSPOSE_CONV", 83: "PACK",
    97: "RESIZE_NEAREST_NEIGHBOR", 98: "LEAKY_RELU", 114: "QUANTIZE", 117: "HARD_SWISH",
}
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 4: np.int64}
NO_ACTIVATION, RELU, RELU6 = 0, 1, 3
SAME_PADDING = 0


class ConversionError(Exception):
    """The model is damaged, or uses something this converter does not do."""


class Table:
    """A FlatBuffers table: fields are found through its vtable, by index."""

    def __init__(self, data, position):
        self.data, self.position = data, position
        vtable = position - struct.unpack_from("<i", data, position)[0]
        size = struct.unpack_from("<H", data, vtable)[0]
        self.offsets = struct.unpack_from(f"<{(size - 4) // 2}H", data, vtable + 4)

    def scalar(self, field, fmt, default=0):
        offset = self.offsets[field] if field < len(self.offsets) else 0
        return struct.unpack_from("<" + fmt, self.data, self.position + offset)[0] if offset else default

    def _target(self, field):
        offset = self.offsets[field] if field < len(self.offsets) else 0
        if not offset:
            return None
        at = self.position + offset
        return at + struct.unpack_from("<I", self.data, at)[0]

    def _span(self, field):
        at = self._target(field)
        return (0, 0) if at is None else (at + 4, struct.unpack_from("<I", self.data, at)[0])

    def table(self, field):
        at = self._target(field)
        return None if at is None else Table(self.data, at)

    def tables(self, field):
        start, count = self._span(field)
        spots = [start + 4 * i for i in range(count)]
        return [Table(self.data, at + struct.unpack_from("<I", self.data, at)[0]) for at in spots]

    def ints(self, field):
        start, count = self._span(field)
        return list(struct.unpack_from(f"<{count}i", self.data, start))

    def bytes(self, field):
        start, count = self._span(field)
        if start + count > len(self.data):
            raise ConversionError("the file is cut short")
        return self.data[start:start + count]


class Tensor:
    def __init__(self, table, buffers):
        self.name = table.bytes(3).decode()
        self.shape = table.ints(0)
        self.type = table.scalar(1, "b")
        raw = buffers[table.scalar(2, "I")].bytes(0)
        self.value = None
        if raw:
            if self.type not in DTYPES:
                raise ConversionError(f"constant '{self.name}' has type {self.type}: only float and int do")
            self.value = np.frombuffer(raw, DTYPES[self.type]).reshape(self.shape)


class Converter:
    """Walks the operators in order; `layout` says how each value now lies."""

    def __init__(self, data):
        if data[4:8] != b"TFL3":
            raise ConversionError("not a TFLite file (no TFL3 mark)")
        model = Table(data, struct.unpack_from("<I", data, 0)[0])
        # Newer files put the code in field 3, older ones in the byte of field 0.
        self.codes = [max(code.scalar(0, "b"), code.scalar(3, "i")) for code in model.tables(1)]
        self.customs = [code.bytes(1).decode() for code in model.tables(1)]
        graphs = model.tables(2)
        if len(graphs) != 1:
            raise ConversionError(f"{len(graphs)} subgraphs: only models with one are converted")
        self.graph = graphs[0]
        buffers = model.tables(4)
        self.tensors = [Tensor(table, buffers) for table in self.graph.tables(0)]
        self.nodes, self.initializers = [], {}
        self.nchw, self.nhwc = {}, {}  # tensor index -> the ONNX value that holds it so

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name, value):
        self.initializers.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weights(self, index):
        tensor = self.tensors[index]
        if tensor.value is None:
            raise ConversionError(f"'{tensor.name}' must be a constant")
        return tensor.value.astype(np.float32)

    def as_nchw(self, index):
        if index not in self.nchw:
            name = self.tensors[index].name + ":nchw"
            self.nchw[index] = self.node("Transpose", [self.nhwc[index]], name, perm=[0, 3, 1, 2])
        return self.nchw[index]

    def as_nhwc(self, index):
        if index not in self.nhwc:
            name = self.tensors[index].name
            self.nhwc[index] = self.node("Transpose", [self.nchw[index]], name, perm=[0, 2, 3, 1])
        return self.nhwc[index]

    def activate(self, kind, before, after):
        """Names the result `after`, through the operator's fused activation."""
        if kind == RELU:
            self.node("Relu", [before], after)
        elif kind == RELU6:
            self.node("Clip", [before], after, min=0.0, max=6.0)
        elif kind != NO_ACTIVATION:
            raise ConversionError(f"fused activation {kind} at '{after}' is not converted")

    def emit(self, kind, inputs, output, activation, **attributes):
        linear = output if activation == NO_ACTIVATION else output + ":linear"
        self.node(kind, inputs, linear, **attributes)
        self.activate(activation, linear, output)
        return output

    def convolution(self, inputs, output, options, depthwise):
        tensor, result = self.tensors[inputs[0]], self.tensors[output]
        kernel = self.weights(inputs[1])
        first = 4 if depthwise else 3  # depth_multiplier sits before the activation
        activation = options.scalar(first, "b")
        strides = [options.scalar(2, "i", 1), options.scalar(1, "i", 1)]
        dilations = [options.scalar(first + 2, "i", 1), options.scalar(first + 1, "i", 1)]
        # OHWI, or 1HWO for depthwise, becomes ONNX's OIHW.
        kernel = kernel.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        pads = [0, 0, 0, 0]
        if options.scalar(0, "b") == SAME_PADDING:
            for axis in (0, 1):
                reach = (kernel.shape[2 + axis] - 1) * dilations[axis] + 1
                total = (result.shape[1 + axis] - 1) * strides[axis] + reach - tensor.shape[1 + axis]
                # The odd cell goes at the end, as TensorFlow has it.
                pads[axis] = max(total, 0) // 2
                pads[axis + 2] = max(total, 0) - pads[axis]
        operands = [self.as_nchw(inputs[0]), self.constant(result.name + ":kernel", kernel)]
        if len(inputs) > 2 and inputs[2] >= 0:
            operands.append(self.constant(result.name + ":bias", self.weights(inputs[2])))
        self.nchw[output] = self.emit(
            "Conv", operands, result.name + ":nchw", activation, kernel_shape=list(kernel.shape[2:]),
            strides=strides, dilations=dilations, pads=pads, group=tensor.shape[3] if depthwise else 1)

    def elementwise(self, kind, inputs, output, activation):
        name = self.tensors[output].name
        if any(self.tensors[i].value is not None for i in inputs):
            raise ConversionError(f"{kind} with a constant at '{name}' is not converted")
        if all(i in self.nchw for i in inputs):
            operands = [self.nchw[i] for i in inputs]
            self.nchw[output] = self.emit(kind, operands, name + ":nchw", activation)
        else:
            self.nhwc[output] = self.emit(kind, [self.as_nhwc(i) for i in inputs], name, activation)

    def operator(self, table):
        index = table.scalar(0, "I")
        code, inputs, outputs = self.codes[index], table.ints(1), table.ints(2)
        kind = OPERATORS.get(code, f"builtin {code}")
        options, output = table.table(4), outputs[0]
        result = self.tensors[output]
        if kind == "DEQUANTIZE":
            result.value = self.weights(inputs[0])
        elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.convolution(inputs, output, options, kind == "DEPTHWISE_CONV_2D")
        elif kind == "ADD":
            self.elementwise("Add", inputs, output, options.scalar(0, "b") if options else NO_ACTIVATION)
        elif kind == "RESHAPE":
            shape = self.constant(result.name + ":shape", np.array(result.shape, np.int64))
            self.nhwc[output] = self.node("Reshape", [self.as_nhwc(inputs[0]), shape], result.name)
        elif kind == "CONCATENATION":
            axis = options.scalar(0, "i") % len(result.shape)
            operands = [self.as_nhwc(i) for i in inputs]
            self.nhwc[output] = self.emit("Concat", operands, result.name, options.scalar(1, "b"), axis=axis)
        else:
            name = f"{kind} '{self.customs[index]}'" if kind == "CUSTOM" else kind
            raise ConversionError(f"operator {name} (at '{result.name}') is not converted")

    def convert(self):
        def value(index):
            tensor = self.tensors[index]
            if tensor.type != 0:
                raise ConversionError(f"'{tensor.name}' is not fp32: quantized models are not converted")
            return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.shape)

        inputs, outputs = self.graph.ints(1), self.graph.ints(2)
        self.nhwc.update({i: self.tensors[i].name for i in inputs})
        for table in self.graph.tables(3):
            self.operator(table)
        for index in outputs:
            self.as_nhwc(index)
        graph = helper.make_graph(self.nodes, "model", [value(i) for i in inputs],
                                  [value(i) for i in outputs], list(self.initializers.values()))
        model = helper.make_model(graph, producer_name="tflite_to_onnx", ir_version=IR_VERSION,
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        checker.check_model(model)
        return model


def main(arguments):
    if len(arguments) != 2:
        print("usage: tflite_to_onnx.py MODEL.tflite MODEL.onnx", file=sys.stderr)
        return 2
    source, target = arguments
    try:
        with open(source, "rb") as file:
            model = Converter(file.read()).convert()
        with open(target, "wb") as file:
            file.write(model.SerializeToString(deterministic=True))
    except ConversionError as error:
        print(f"tflite_to_onnx: {source}: {error}", file=sys.stderr)
        return 1
    except (struct.error, IndexError, KeyError, ValueError) as error:
        print(f"tflite_to_onnx: {source}: damaged or unexpected model ({type(error).__name__}: {error})",
              file=sys.stderr)
        return 1
    except OSError as error:
        print(f"tflite_to_onnx: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
