"""Weights in a user's own file: .keras, .h5, .weights.h5 or, for EfficientNet-Lite0, .pth.

A whole model is taken as it is if its convolutions are those of the architecture asked for, so
that a fine-tuned one may end in layers of its own. A file with only weights must fit the
architecture, with any number of classes.
"""

import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import keras

from exporter.architectures import ModelSpec, Normalisation
from exporter.efficientnet_lite import classes_in
from exporter.errors import ExportError
from exporter.preprocessing import own_preprocessing, parts

HDF5 = (".h5", ".hdf5")
NOT_WEIGHTS = ("optimizer", "optimizer_weights", "seed_generator", "metrics")

ADDED_SOFTMAX = "added_softmax"
NORMALIZATION_WEIGHTS = 3  # mean, variance, count
AS_IT_IS = "model_repository/README.md says how to serve any other model as it is"
PASSING = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
)

Shapes = list[tuple[int, ...]]


def model_from_file(spec: ModelSpec, path: Path) -> tuple[ModelSpec, Any]:
    """Return the model in a file, and the spec with the file's input size.

    Raises ExportError for a file that cannot be read or holds another architecture.
    """
    if path.suffix == ".pth" and spec.name == "efficientnet_lite0":
        classes = classes_in(path)
        _require_several(classes, spec, path)
        return spec, spec.build(str(path), classes)
    if path.suffix == ".keras":
        return _whole_model(spec, path)
    if path.suffix not in HDF5:
        raise ExportError(f"{path} has an unknown format; give a .h5, .weights.h5 or .keras file")
    try:
        with h5py.File(path) as file:
            whole = "model_config" in file.attrs
            legacy = "layer_names" in file.attrs
            shapes = _shapes_in(file)
    except OSError as error:
        raise ExportError(f"{path} is not an HDF5 file, or is damaged") from error
    return _whole_model(spec, path) if whole else (spec, _filled(spec, path, shapes, legacy))


def _whole_model(spec: ModelSpec, path: Path) -> tuple[ModelSpec, Any]:
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):  # Keras would call it missing
        raise ExportError(f"{path} is not a .keras file, or is damaged")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # The type of the error depends on the layer that Keras cannot read.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ExportError(
            f"Keras {keras.__version__} cannot load {path}, like much that Keras 2 or code of your"
            " own made: save it as a SavedModel with the Keras and the code that made it"
            f" (model_repository/README.md). Keras says: {reason}"
        ) from error
    size = _input_size(model, path)
    spec = spec if size == spec.size else spec.resized(size)
    if not _begins_with(_shapes(model), _shapes(spec.build(None, top=False))):
        raise ExportError(
            f"the model in {path} is not {spec.name}: its first layers differ ({AS_IT_IS})"
        )
    _require_one_normalisation(spec, model, path)
    return spec, _with_probabilities(model, path)


def _begins_with(found: Shapes, base: Shapes) -> bool:
    """Compare the first layers; a Normalization before them is refused by name later."""
    starts = range(NORMALIZATION_WEIGHTS + 1)
    return any(found[start : start + len(base)] == base for start in starts)


def _input_size(model: Any, path: Path) -> int:
    """Return the side of a model's square RGB input, in pixels."""
    shape = model.input_shape if model.built else None
    if not (
        isinstance(shape, tuple) and len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3
    ):
        raise ExportError(
            f"the model in {path} takes {shape}, not square RGB pictures ({AS_IT_IS})"
        )
    if shape[1] is None:
        raise ExportError(
            f"the model in {path} takes pictures of any size; fix its input's size ({AS_IT_IS})"
        )
    return int(shape[1])


def _require_one_normalisation(spec: ModelSpec, model: Any, path: Path) -> None:
    """Refuse a model whose input would be normalised twice, or not at all."""
    found = own_preprocessing(model)
    if spec.normalisation is Normalisation.NONE:
        if not found:
            raise ExportError(
                f"the model in {path} does not normalise its input, but {spec.name} must; "
                "build it with include_preprocessing=True, copy the weights, and save the result"
            )
    elif found:
        raise ExportError(
            f"the model in {path} normalises its input itself before its first convolution "
            f"({', '.join(found)}), and the exporter would do so again; build it without these, "
            "copy the weights of its layers, and save the result, or serve it as it is "
            "(model_repository/README.md)"
        )


def _with_probabilities(model: Any, path: Path) -> Any:
    """Return a model that ends in probabilities, [N,classes]; a single output becomes two."""
    shape = model.output_shape
    if not (isinstance(shape, tuple) and len(shape) == 2 and shape[1]):
        raise ExportError(
            f"the model in {path} returns {shape}, not one row of classes per picture ({AS_IT_IS})"
        )
    last = _last_activation(model)
    if shape[1] == 1:
        return _with_both_classes(model, last, path)
    if last is keras.activations.linear:
        softmax = keras.layers.Softmax(name=ADDED_SOFTMAX)
        return keras.Model(model.inputs[0], softmax(model.outputs[0]))
    return keras.Model(model.inputs[0], model.outputs[0])  # out of a dictionary, if it is in one


def _with_both_classes(model: Any, last: Any, path: Path) -> Any:
    """Return a model of two classes: its only output is the second, the first gets the rest.

    The names are not Keras' own, which layers in the file may have.
    """
    second = model.outputs[0]
    if last is keras.activations.linear:
        second = keras.layers.Activation("sigmoid", name="added_sigmoid")(second)
    elif last is not keras.activations.sigmoid:
        raise ExportError(f"the only output of the model in {path} does not end in a sigmoid")
    first = keras.layers.Rescaling(-1.0, 1.0, name="added_rest")(second)
    both = keras.layers.Concatenate(name="added_classes")([first, second])
    return keras.Model(model.inputs[0], both)


def _last_activation(model: Any) -> Any:
    """Return the activation of the last part that changes a model's outputs; None if it has none.

    A function called in the graph, such as `keras.ops.softmax`, counts like a layer. Parts that
    leave the values alone are skipped, such as the linear activation with which mixed precision
    ends in 32 bits.
    """
    for part in reversed(list(parts(model))):
        function = getattr(keras.activations, type(part).__name__.lower(), None)
        activation = getattr(part, "activation", function)
        if not (isinstance(part, PASSING) and activation in (None, keras.activations.linear)):
            return activation
    return None


def _filled(spec: ModelSpec, path: Path, found: Shapes, legacy: bool) -> Any:
    """Build the architecture for the file's number of classes and load its weights."""
    model = spec.build(None)
    classes = _classes(model, found)
    if classes is None:
        raise ExportError(
            f"the weights in {path} are not those of {spec.name}; a fine-tuned model that ends in "
            "layers of its own must be saved whole (model.save), not only its weights"
        )
    _require_several(classes, spec, path)
    if classes != model.output_shape[-1]:
        model = spec.build(None, classes)
    try:
        _load(model, path, legacy)
    except Exception as error:
        raise ExportError(
            f"the weights in {path} are damaged, or do not fit {spec.name} layer by layer; a model"
            " with layers of its own must be saved whole (model.save), not only its weights"
        ) from error
    return model


def _require_several(classes: int, spec: ModelSpec, path: Path) -> None:
    """Refuse a single class: without its model, nobody knows what it ends in."""
    if classes == 1:
        raise ExportError(
            f"the weights in {path} have a single class, and {spec.name} ends in a softmax, which "
            "would always be sure of it; save the model whole (model.save), not only its weights"
        )


def _load(model: Any, path: Path, legacy: bool) -> None:
    """Load weights by the kind of the file; Keras goes by its name alone."""
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each layer that does not fit
        link = Path(directory, "legacy.h5" if legacy else "model.weights.h5")
        link.symlink_to(path.resolve())
        model.load_weights(link)


def _classes(model: Any, found: Shapes) -> int | None:
    """Return how many classes the file's last layer has; None if another layer differs too."""
    head = _shapes(next(layer for layer in reversed(model.layers) if layer.weights))
    rest = Counter(_shapes(model)) - Counter(head)
    left = Counter(found) - rest
    biases = [shape for shape in left if len(shape) == 1]
    if rest - Counter(found) or len(biases) != 1:
        return None
    classes = biases[0][0]
    return classes if left == Counter((*shape[:-1], classes) for shape in head) else None


def _shapes(model: Any) -> Shapes:
    return [tuple(weight.shape) for weight in model.weights]


def _shapes_in(file: Any) -> Shapes:
    """Return the shapes of all weights in an HDF5 file, whichever version of Keras wrote it."""
    shapes: Shapes = []

    def visit(name: str, entry: Any) -> None:
        parts = name.split("/")
        if isinstance(entry, h5py.Dataset) and not any(part in NOT_WEIGHTS for part in parts):
            shapes.append(tuple(entry.shape))

    file.visititems(visit)
    return shapes
