from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from exporter.architectures import ARCHITECTURES
from exporter.efficientnet_lite import imagenet_file
from exporter.errors import ExportError
from exporter.keras_file import model_from_file
from exporter.pth import read_pth
from tests.exporter.checkpoints import write_pth

SPEC = ARCHITECTURES["mobilenet_v2"]
PICTURE = np.random.default_rng(1).standard_normal((1, 224, 224, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """Return MobileNetV2 with five classes and weights of its own."""
    model = SPEC.build(None, 5)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 10, bias + np.arange(5)])
    return model


def fine_tuned(base: keras.Model, *head: keras.Layer) -> keras.Model:
    return keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), *head])


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's advice on the .h5 format
@pytest.mark.parametrize("suffix", ["keras", "h5", "weights.h5"])
def test_every_kind_of_file_gives_the_same_model(
    trained: keras.Model, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"mine.{suffix}"
    (trained.save_weights if suffix == "weights.h5" else trained.save)(path)
    spec, model = model_from_file(SPEC, path)
    assert spec == SPEC
    np.testing.assert_allclose(model(PICTURE), trained(PICTURE), atol=1e-6)


def test_weights_in_the_old_format_are_read_under_any_name(
    trained: keras.Model, tmp_path: Path
) -> None:
    from keras.src.legacy.saving import legacy_h5_format

    path = tmp_path / "old.weights.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, trained)
    _, model = model_from_file(SPEC, path)
    np.testing.assert_allclose(model(PICTURE), trained(PICTURE), atol=1e-6)


def test_weights_in_other_layers_are_told_to_be_saved_whole(tmp_path: Path) -> None:
    shape = (224, 224, 3)
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=shape)
    nested = fine_tuned(base, keras.layers.Dense(5))
    nested.save_weights(path := tmp_path / "mine.weights.h5")
    with pytest.raises(ExportError, match=r"layer by layer; .* must be saved whole \(model\.save"):
        model_from_file(SPEC, path)


def test_weights_that_cannot_be_read_are_called_damaged(
    trained: keras.Model, tmp_path: Path
) -> None:
    path, name = tmp_path / "mine.weights.h5", "layers/conv2d/vars/0"
    trained.save_weights(path)
    with h5py.File(path, "r+") as file:
        shape = file[name].shape
        del file[name]
        file[name] = np.full(shape, b"?")  # no numbers
    with pytest.raises(ExportError, match="are damaged, or do not fit"):
        model_from_file(SPEC, path)


def test_a_fine_tuned_vgg16_keeps_its_own_last_layers_and_size(tmp_path: Path) -> None:
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(96, 96, 3))
    model = fine_tuned(base, keras.layers.Dense(8, "relu"), keras.layers.Dense(3))
    model.save(tmp_path / "flowers.keras")
    spec, loaded = model_from_file(ARCHITECTURES["vgg16"], tmp_path / "flowers.keras")
    assert (spec.size, spec.resize_shorter_side) == (96, 110)
    probabilities = np.asarray(loaded(PICTURE[:, :96, :96]))
    assert probabilities.shape == (1, 3)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "head",
    [
        [keras.layers.Dense(3, "softmax"), keras.layers.Activation("linear", dtype="float32")],
        [keras.Sequential([keras.layers.Dense(4, "relu"), keras.layers.Dense(3)])],
        [keras.layers.Dense(3), keras.layers.Activation("softmax")],
        [keras.layers.Dense(3), keras.layers.Identity()],
        [
            keras.layers.Reshape((1, 1, -1)),
            keras.layers.Conv2D(3, 1),
            keras.layers.Flatten(),
            keras.layers.Activation("linear"),
        ],
    ],
    ids=[
        "mixed precision",
        "nested logits",
        "activation apart",
        "logits and nothing",
        "MobileNetV3",
    ],
)
def test_a_model_ends_in_one_softmax_however_it_is_written(tmp_path: Path, head: list) -> None:
    model = fine_tuned(SPEC.resized(32).build(None, top=False), *head)
    model.build((None, 32, 32, 3))
    model.save(tmp_path / "mine.keras")
    _, loaded = model_from_file(SPEC, tmp_path / "mine.keras")
    picture = PICTURE[:, :32, :32] * 20
    found, own = np.asarray(loaded(picture)), np.asarray(model(picture))
    if own.min() < 0 or own.sum() != pytest.approx(1, abs=1e-5):
        own = np.exp(own) / np.exp(own).sum()
    np.testing.assert_allclose(found, own, atol=1e-5)


@pytest.mark.parametrize(("classes", "function"), [(3, "softmax"), (4, "sigmoid"), (1, "sigmoid")])
def test_a_model_may_end_in_a_function_of_the_graph(
    tmp_path: Path, classes: int, function: str
) -> None:
    image, logits = with_logits(classes)
    keras.Model(image, getattr(keras.ops, function)(logits)).save(tmp_path / "mine.keras")
    require_answers(tmp_path / "mine.keras", keras.Model(image, logits), function)


@pytest.mark.parametrize(("classes", "function"), [(3, "softmax"), (1, "sigmoid")])
def test_what_is_added_to_logits_takes_no_name_that_the_file_uses(
    tmp_path: Path, classes: int, function: str
) -> None:
    image, logits = with_logits(classes)
    for name in ("softmax", "activation", "subtract", "concatenate"):
        logits = keras.layers.Identity(name=name)(logits)
    model = keras.Model(image, logits)
    model.save(tmp_path / "mine.keras")
    keras.backend.clear_session()  # Keras' names begin anew, as in another process
    require_answers(tmp_path / "mine.keras", model, function)


def with_logits(classes: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return a graph's beginning and its end."""
    image = keras.Input((32, 32, 3))
    features = SPEC.resized(32).build(None, top=False)(image)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return image, keras.layers.Dense(classes, bias_initializer="random_normal")(pooled)


def require_answers(path: Path, logits: keras.Model, function: str) -> None:
    """Compare the model in a file with the probabilities that these logits mean."""
    picture = PICTURE[:, :32, :32]
    own = np.asarray(getattr(keras.activations, function)(logits(picture)))
    own = own if own.shape[1] > 1 else np.hstack([1 - own, own])
    np.testing.assert_allclose(model_from_file(SPEC, path)[1](picture), own, atol=1e-5)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_a_model_may_name_its_picture_and_its_answer(
    tmp_path: Path, activation: str | None
) -> None:
    image = keras.Input((32, 32, 3), name="photo")
    features = SPEC.resized(32).build(None, top=False)(image)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    named = {"flower": keras.layers.Dense(3, activation)(pooled)}
    keras.Model({"photo": image}, named).save(tmp_path / "mine.keras")
    _, loaded = model_from_file(SPEC, tmp_path / "mine.keras")
    assert np.asarray(loaded(PICTURE[:, :32, :32])).sum() == pytest.approx(1, abs=1e-5)


def test_a_model_without_the_normalisation_it_should_have_is_refused(tmp_path: Path) -> None:
    spec = ARCHITECTURES["mobilenet_v3_small"]
    for include, sentence in ((False, "does not normalise its input"), (True, "")):
        keras.applications.MobileNetV3Small(
            weights=None, input_shape=(224, 224, 3), include_preprocessing=include
        ).save(tmp_path / "mine.keras")
        if sentence:
            with pytest.raises(ExportError, match=sentence):
                model_from_file(spec, tmp_path / "mine.keras")
        else:
            assert model_from_file(spec, tmp_path / "mine.keras")[0] == spec


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_whole_models_that_cannot_be_served_are_refused(tmp_path: Path) -> None:
    small = SPEC.resized(32).build(None, top=False)
    rescaled = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(2.0), small])
    cases = {
        "is not vgg16": (ARCHITECTURES["vgg16"], fine_tuned(small, keras.layers.Dense(3))),
        f"is not {SPEC.name}": (
            SPEC,
            fine_tuned(
                keras.Sequential(
                    [
                        keras.Input((32, 32, 3)),
                        keras.layers.Rescaling(2.0),
                        keras.layers.Conv2D(4, 3),
                    ]
                ),
                keras.layers.Dense(3),
            ),
        ),
        "normalises its input itself": (
            SPEC,
            fine_tuned(rescaled, keras.layers.Dense(3)),
        ),
        "not one row of classes": (SPEC, fine_tuned(small, keras.layers.Reshape((1, -1)))),
        "does not end in a sigmoid": (SPEC, fine_tuned(small, keras.layers.Dense(1, "relu"))),
        "not square RGB pictures": (
            SPEC,
            keras.Sequential([keras.Input((32, 16, 3)), keras.layers.Flatten()]),
        ),
        "takes None, not square RGB pictures .model_repository/README.md": (
            SPEC,
            keras.Sequential([keras.layers.Flatten()]),
        ),
        "pictures of any size": (
            SPEC,
            keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D()]),
        ),
    }
    path = tmp_path / "model.keras"
    for sentence, (spec, model) in cases.items():
        model.save(path)
        with pytest.raises(ExportError, match=sentence):
            model_from_file(spec, path)


def test_a_model_that_only_its_makers_keras_can_load_is_told_the_way_round(tmp_path: Path) -> None:
    layer = keras.layers.Lambda(lambda x: x * 2)
    keras.Sequential([keras.Input((32, 32, 3)), layer]).save(tmp_path / "mine.keras")
    with pytest.raises(ExportError, match=r"save it as a SavedModel with .*README.md.*Lambda"):
        model_from_file(SPEC, tmp_path / "mine.keras")


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_single_output_becomes_two_classes(tmp_path: Path, activation: str | None) -> None:
    small = SPEC.resized(32).build(None, top=False)
    model = fine_tuned(small, keras.layers.Dense(1, activation))
    model.save(tmp_path / "mine.keras")
    picture = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    own = np.asarray(model(picture))
    second = own if activation else 1 / (1 + np.exp(-own))
    found = np.asarray(model_from_file(SPEC, tmp_path / "mine.keras")[1](picture))
    np.testing.assert_allclose(found, np.hstack([1 - second, second]), atol=1e-6)


def test_weights_of_a_single_class_are_refused(tmp_path: Path) -> None:
    SPEC.build(None, 1).save_weights(tmp_path / "one.weights.h5")
    with pytest.raises(ExportError, match="have a single class, and mobilenet_v2 ends in"):
        model_from_file(SPEC, tmp_path / "one.weights.h5")


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v2"])
def test_preprocessing_in_the_graph_is_refused(tmp_path: Path, name: str) -> None:
    spec = ARCHITECTURES[name].resized(32)
    base = spec.build(None, top=False)
    module = getattr(keras.applications, name)
    image = keras.Input((32, 32, 3))
    features = base(module.preprocess_input(keras.layers.RandomFlip()(image)))
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    keras.Model(image, keras.layers.Dense(3, "softmax")(pooled)).save(tmp_path / "mine.keras")
    with pytest.raises(ExportError, match="normalises its input itself") as refused:
        model_from_file(spec, tmp_path / "mine.keras")
    expected = {"vgg16": "GetItem", "mobilenet_v2": "TrueDivide"}
    assert expected[name] in str(refused.value)
    assert "Flip" not in str(refused.value)
    assert "or serve it as it is (model_repository/README.md)" in str(refused.value)


def test_what_changes_no_value_of_a_pixel_is_taken(tmp_path: Path) -> None:
    augmented = keras.Sequential(
        [
            keras.layers.RandomFlip(),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomContrast(1),
        ]
    )
    image = keras.Input((32, 32, 3))
    base = SPEC.resized(32).build(None, top=False)
    head = keras.Sequential([keras.layers.GlobalMaxPooling2D(), keras.layers.Rescaling(2.0)])
    dense = keras.layers.Dense(3, "softmax")
    keras.Model(image, dense(head(base(augmented(image))))).save(tmp_path / "mine.keras")
    _, loaded = model_from_file(SPEC, tmp_path / "mine.keras")
    picture = PICTURE[:, :32, :32]
    plain = dense(head(base(picture)))
    np.testing.assert_allclose(loaded(picture, training=False), plain, atol=1e-6)


def test_weights_of_another_architecture_are_refused(trained: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "mine.weights.h5"
    trained.save_weights(path)
    with pytest.raises(ExportError, match="are not those of mobilenet_v3_small"):
        model_from_file(ARCHITECTURES["mobilenet_v3_small"], path)


@pytest.mark.parametrize(
    "head", [[], [keras.layers.Flatten(), keras.layers.Dense(5)]], ids=["none", "another"]
)
def test_weights_without_the_architectures_last_layer_are_refused(
    tmp_path: Path, head: list[keras.Layer]
) -> None:
    path = tmp_path / "base.weights.h5"
    layers = [keras.Input((224, 224, 3)), SPEC.build(None, top=False), *head]
    keras.Sequential(layers).save_weights(path)
    with pytest.raises(ExportError, match="must be saved whole"):
        model_from_file(SPEC, path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.onnx", "has an unknown format"),
        ("a.h5", "not an HDF5 file"),
        ("a.keras", "not a .keras file"),
        ("a.pth", "has an unknown format"),
    ],
)
def test_a_file_that_is_nothing_of_the_kind_is_refused(
    tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ExportError, match=sentence):
        model_from_file(SPEC, tmp_path / name)


def test_efficientnet_lite0_takes_a_checkpoint_of_the_original() -> None:
    _, model = model_from_file(ARCHITECTURES["efficientnet_lite0"], imagenet_file())
    assert model.output_shape == (None, 1000)


def test_a_checkpoint_may_have_any_number_of_classes(tmp_path: Path) -> None:
    tensors = read_pth(imagenet_file())
    head = {name: tensors[name][:7] for name in ("_fc.weight", "_fc.bias")}
    path = write_pth(tmp_path / "seven.pth", tensors | head)
    _, model = model_from_file(ARCHITECTURES["efficientnet_lite0"], path)
    _, imagenet = model_from_file(ARCHITECTURES["efficientnet_lite0"], imagenet_file())
    odds = np.asarray(imagenet(PICTURE))[:, :7]
    expected = odds / odds.sum()  # softmax over the seven alone
    np.testing.assert_allclose(model(PICTURE), expected, atol=1e-5)


def test_a_checkpoint_of_a_single_class_is_refused(tmp_path: Path) -> None:
    tensors = read_pth(imagenet_file())
    head = {name: tensors[name][:1] for name in ("_fc.weight", "_fc.bias")}
    path = write_pth(tmp_path / "one.pth", tensors | head)
    with pytest.raises(ExportError, match="have a single class"):
        model_from_file(ARCHITECTURES["efficientnet_lite0"], path)
