"""Builds a repository of SavedModels that our exporter did not write; run it with TensorFlow.

python tests/backend/foreign_models.py DIRECTORY
"""

import functools
import os
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import openvino as ov
import openvino.opset13
import tensorflow as tf

from inference.backends.tensorflow import wire
from inference.backends.tensorflow.checkpoint_index import (
    CHECKSUM_BYTES,
    OBJECT_GRAPH,
    OFFSET,
    read_table,
)
from tests.backend.foreign_configs import CONFIGS, RELATIVES

NUMERIC = {
    "bool": tf.bool, "uint8": tf.uint8, "uint16": tf.uint16, "uint32": tf.uint32,
    "uint64": tf.uint64, "int8": tf.int8, "int16": tf.int16, "int32": tf.int32, "int64": tf.int64,
    "float16": tf.float16, "float32": tf.float32, "float64": tf.float64,
}  # fmt: skip


def spec(shape: list[int | None] | None, dtype: tf.DType, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, name)


def save(directory: Path, *specs: tf.TensorSpec, **functions) -> None:
    """Save functions of a module as signatures that share their inputs."""
    module = tf.Module()
    module.variable = tf.Variable([2.0], name="two")
    signatures = {}
    for name, function in functions.items():
        call = tf.function(functools.partial(function, module), input_signature=specs)
        setattr(module, name, call)
        signatures[name] = call.get_concrete_function()
    tf.saved_model.save(module, str(directory / "model.savedmodel"), signatures=signatures)


def several_inputs(directory: Path) -> None:
    save(
        directory / "1",
        spec([None, 3], tf.float32, "left"),
        spec([None, 3], tf.float32, "right"),
        spec([None, 1], tf.int64, "scale"),
        serving_default=lambda m, left, right, scale: {
            "sum": left + right,
            "scaled": m.variable * left * tf.cast(scale, tf.float32),
            "next": scale + 1,
        },
    )


def constant_outputs(directory: Path) -> None:
    """Outputs beside its answer: constants, one of all rows together, and what Triton lacks."""
    save(
        directory / "1",
        spec([None, 2], tf.float32, "x"),
        serving_default=lambda m, x: {
            "y": x * m.variable,
            "thresholds": tf.constant([0.25, 0.5, 0.75]),
            "labels": tf.constant(["cat", "dog"]),
            "mean": tf.reduce_mean(x),
            "half": tf.cast(x, tf.bfloat16),
        },
    )


def all_types(directory: Path) -> None:
    """One input and one output of every numeric type: the next number, or a boolean's opposite."""

    def following(module: tf.Module, *tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = [tf.logical_not(t) if t.dtype == tf.bool else t + tf.cast(1, t.dtype)
                 for t in tensors]  # fmt: skip
        return {f"after_{name}": tensor for name, tensor in zip(NUMERIC, found, strict=True)}

    specs = [spec([None, 2], kind, name) for name, kind in NUMERIC.items()]
    save(directory / "1", *specs, serving_default=following)


def strings(directory: Path) -> None:
    """It writes the number of rows it is given to Triton's log."""

    def decode(module: tf.Module, text: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.print("decoding", tf.shape(text)[0], "rows")
        length = tf.cast(tf.strings.length(text), tf.int64)
        return {"decoded": tf.io.decode_base64(text), "length": length}

    save(directory / "1", spec([None, 1], tf.string, "text"), serving_default=decode)


def unbatched(directory: Path) -> None:
    save(
        directory / "1",
        spec([3, 2], tf.float32, "matrix"),
        serving_default=lambda m, matrix: {"row": tf.reduce_sum(matrix, 0) * m.variable},
    )


def variable(directory: Path) -> None:
    save(
        directory / "1",
        spec([None, None, 2], tf.float32, "points"),
        serving_default=lambda m, points: {"centre": tf.reduce_sum(points, 1) * m.variable},
    )


def signatures(directory: Path) -> None:
    save(
        directory / "1",
        spec([None, 1], tf.float32, "x"),
        serving_default=lambda m, x: {"y": x * m.variable},
        triple=lambda m, x: {"z": x * m.variable * 1.5},
    )


def nested(directory: Path) -> None:
    """A model whose outputs nest; a signature names the leaves by their paths."""
    inputs = keras.Input([4], name="features")
    hidden = keras.layers.Dense(4, kernel_initializer="ones", name="hidden")(inputs)
    boxes = {"centre": hidden * 2.0, "corners": [hidden + 1.0, hidden + 2.0]}
    model = keras.Model(inputs, {"boxes": boxes, "hidden": hidden})
    model.trainable = False

    def leaves(module: tf.Module, features: tf.Tensor) -> dict[str, tf.Tensor]:
        found = keras.tree.flatten_with_path(model(features))
        module.model = model
        return {"/".join(map(str, path)): tensor for path, tensor in found}

    save(directory / "1", spec([None, 4], tf.float32, "features"), serving_default=leaves)


def many_variables(directory: Path) -> None:
    """Its object graph is longer than 16 KB, the length that OpenVINO 2026.4 assumes.

    Keras's variables are found only through that graph. It adds 1 to its input 130 times.
    """
    inputs = keras.Input([1])
    outputs = inputs
    for _ in range(130):
        outputs = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")(outputs)
    model = keras.Model(inputs, outputs)

    def total(module: tf.Module, x: tf.Tensor) -> dict[str, tf.Tensor]:
        module.model = model
        return {"total": model(x)}

    save(directory / "1", spec([None, 1], tf.float32, "x"), serving_default=total)
    path = directory / "1" / "model.savedmodel"
    _make_unlucky(path / "variables")


def _make_unlucky(variables: Path) -> None:
    """Change the checksum's last byte to one that misleads OpenVINO, as 1 in 2 does.

    OpenVINO takes it for the start of a long object graph; it does not verify the checksum.
    """
    index = read_table(memoryview((variables / "variables.index").read_bytes()))
    offset = wire.number(memoryview(index[OBJECT_GRAPH]), OFFSET)
    with (variables / "variables.data-00000-of-00001").open("r+b") as data:
        data.seek(offset + 3 + CHECKSUM_BYTES - 1)
        data.write(b"\x0b")


def single_values(directory: Path) -> None:
    """A module without variables, whose rows are single values."""
    module = tf.Module()
    module.call = tf.function(
        lambda x: {"double": x * 2.0, "positive": x > 0.0},
        input_signature=[spec([None], tf.float32, "x")],
    )
    path = str(directory / "1" / "model.savedmodel")
    tf.saved_model.save(module, path, signatures=module.call.get_concrete_function())


def boxes(directory: Path) -> None:
    """The indices of the boxes that non-max suppression keeps, with zeros for the others."""

    def kept(module: tf.Module, corners: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        most = tf.shape(corners)[0]
        found = tf.image.non_max_suppression(corners, scores[:, 0], most, 0.5)
        return {"kept": tf.pad(found, [[0, most - tf.size(found)]])[:, None]}

    save(
        directory / "1",
        spec([None, 4], tf.float32, "corners"),
        spec([None, 1], tf.float32, "scores"),
        serving_default=kept,
    )


def centred(directory: Path) -> None:
    """The difference of each row from the first one."""
    save(
        directory / "1",
        spec([None, 2], tf.float32, "x"),
        serving_default=lambda m, x: {"beyond": m.variable * (x - x[:1])},
    )


def tagged(directory: Path) -> None:
    """A SavedModel of TensorFlow 1 whose only tag is not `serve`."""
    path = str(directory / "1" / "model.savedmodel")
    builder = tf.compat.v1.saved_model.Builder(path)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, 1], "x")
        y = x * tf.compat.v1.get_variable("ten", initializer=[10.0], use_resource=True)
        session.run(tf.compat.v1.global_variables_initializer())
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["edge"], {"serving_default": signature})
        builder.save()


def any_rank(directory: Path) -> None:
    save(directory / "1", spec(None, tf.float32, "x"), serving_default=lambda m, x: {"y": 2.0 * x})


def versions(directory: Path) -> None:
    for version in (1, 2, 3):
        save(
            directory / str(version),
            spec([None, 1], tf.float32, "x"),
            serving_default=functools.partial(_plus, version),
        )


def _plus(version: int, module: tf.Module, x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"y": x + float(version)}


def complex_numbers(directory: Path) -> None:
    save(
        directory / "1",
        spec([None, 1], tf.complex64, "x"),
        serving_default=lambda m, x: {"y": x},
    )


def sparse(directory: Path) -> None:
    builder = tf.compat.v1.saved_model.Builder(str(directory / "1" / "model.savedmodel"))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.sparse_placeholder(tf.float32, [None, 3], "x")
        y = tf.sparse.reduce_sum(x, 1)
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def scalar(directory: Path) -> None:
    save(
        directory / "1",
        spec([None, 1], tf.float32, "x"),
        spec([], tf.float32, "factor"),
        serving_default=lambda m, x, factor: {"y": x * factor},
    )


def sequence(directory: Path) -> None:
    save(
        directory / "1",
        spec([None, 1], tf.float32, "x"),
        spec([None, 1], tf.int32, "START"),
        serving_default=lambda m, x, start: {"y": x + 100.0 * tf.cast(start, tf.float32)},
    )


def quantised(directory: Path) -> None:
    """Its int8 model answers something else than its SavedModel, so tests can tell which ran."""
    signatures(directory)
    model = ov.Core().read_model(directory / "1" / "model.savedmodel")
    two = next(op for op in model.get_ordered_ops() if op.get_type_name() == "Multiply")
    five = ov.opset13.add(two.output(0), ov.opset13.constant([[5.0]], ov.Type.f32))
    five.output(0).get_tensor().set_names({"y"})
    other = ov.Model([five.output(0)], model.get_parameters())
    ov.save_model(other, directory / "1" / "model.int8.xml", compress_to_fp16=False)


PARTS = ("constant_outputs", "strings", "unbatched", "signatures", "variable", "several_inputs")


def main(target: Path) -> None:
    """Build `repository/`, which loads, and `parts/`, of which tests make models that must not."""
    repository, parts = target / "repository", target / "parts"
    for name, config in CONFIGS.items():
        globals()[name](repository / name)
        if config:
            (repository / name / "config.pbtxt").write_text(config)
    for name, (relative, config) in RELATIVES.items():
        shutil.copytree(repository / relative, repository / name)
        (repository / name / "config.pbtxt").write_text(config)
    renamed = repository / "renamed_file" / "1"
    (renamed / "model.savedmodel").rename(renamed / "renamed.savedmodel")
    complex_numbers(parts / "complex_numbers")
    sparse(parts / "sparse")
    scalar(parts / "scalar")
    for name in PARTS:
        shutil.copytree(repository / name, parts / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
