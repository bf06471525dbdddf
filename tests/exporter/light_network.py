"""A network that is built, exported and quantised at once; it sees little of a picture."""

import keras


def light_network(input_shape: tuple[int, int, int], classes: int, **_: object) -> keras.Model:
    """Stand in for a builder in the table of architectures."""
    image = keras.Input(input_shape)
    features = keras.layers.Flatten()(keras.layers.AveragePooling2D(56)(image))
    return keras.Model(image, keras.layers.Dense(classes, "softmax")(features))
