"""How models are named."""

from gateway.model_names import is_classifier


def test_people_choose_among_classifiers() -> None:
    models = ["vgg16", "vgg16_image", "vgg16_decode", ".vgg16_candidate"]
    assert [model for model in models if is_classifier(model)] == ["vgg16"]
