"""all-MiniLM-L6-v2 by onnxruntime on one thread: milliseconds of CPU per text, as JSON by number of tokens.

minilm.py MODEL_DIRECTORY TOKENS...
"""

import json
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HIDDEN, HEADS, LAYERS = 384, 12, 6


def weights(folder):
    with open(folder + "/model.safetensors", "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        places, data = json.loads(file.read(length)), file.read()
    places.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*place["data_offsets"])], np.float32).reshape(place["shape"])
        for name, place in places.items()
        if place["dtype"] == "F32"
    }


def graph(w):
    constants, nodes = [], []

    def constant(value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), f"c{len(constants)}"))
        return constants[-1].name

    def node(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, list(inputs), [f"n{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def linear(x, name):
        return node("Add", node("MatMul", x, constant(w[name + ".weight"].T)), constant(w[name + ".bias"]))

    def norm(x, name):
        gain, bias = constant(w[name + ".weight"]), constant(w[name + ".bias"])
        return node("LayerNormalization", x, gain, bias, axis=-1, epsilon=1e-12)

    heads = constant(np.array([-1, HEADS, HIDDEN // HEADS], np.int64))
    rows = constant(np.array([-1, HIDDEN], np.int64))

    def split(x, name, order):
        return node("Transpose", node("Reshape", linear(x, name), heads), perm=order)

    places = w["embeddings.position_embeddings.weight"] + w["embeddings.token_type_embeddings.weight"][0]
    begin = constant(np.array([0], np.int64))
    words = node("Gather", constant(w["embeddings.word_embeddings.weight"]), "ids")
    x = node("Add", words, node("Slice", constant(places), begin, node("Shape", "ids")))
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        own = f"encoder.layer.{layer}."
        query = split(x, own + "attention.self.query", [1, 0, 2])
        key = split(x, own + "attention.self.key", [1, 2, 0])
        value = split(x, own + "attention.self.value", [1, 0, 2])
        scores = node("Mul", node("MatMul", query, key), constant(np.float32((HIDDEN // HEADS) ** -0.5)))
        context = node("Transpose", node("MatMul", node("Softmax", scores, axis=-1), value), perm=[1, 0, 2])
        x = node("Add", x, linear(node("Reshape", context, rows), own + "attention.output.dense"))
        x = norm(x, own + "attention.output.LayerNorm")
        inner = node("Gelu", linear(x, own + "intermediate.dense"))
        x = norm(node("Add", x, linear(inner, own + "output.dense")), own + "output.LayerNorm")
    mean = node("ReduceMean", x, constant(np.array([0], np.int64)), keepdims=0)
    nodes.append(helper.make_node("LpNormalization", [mean], ["vector"], axis=0, p=2))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [HIDDEN])
    whole = helper.make_graph(nodes, "all-MiniLM-L6-v2", [ids], [vector], constants)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def main():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = graph(weights(sys.argv[1])).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found = {}
    for tokens in map(int, sys.argv[2:]):
        ids = {"ids": np.array([101] + [2000 + 7 * at for at in range(tokens - 2)] + [102])}
        rounds = []
        for _ in range(5):
            session.run(None, ids)
            count = max(5, 400 // tokens)
            began = time.process_time()
            for _ in range(count):
                session.run(None, ids)
            rounds.append((time.process_time() - began) / count * 1000)
        found[tokens] = sorted(rounds)[len(rounds) // 2]
    print(json.dumps(found))


main()
