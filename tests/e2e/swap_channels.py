"""Run in the exporter's environment: `swap_channels.py SAVEDMODEL TARGET`.

Writes a SavedModel that takes RGB for BGR, as happens when someone mixes up OpenCV and Keras.
"""

import sys

import tensorflow as tf

source = tf.saved_model.load(sys.argv[1])
signature = source.signatures["serving_default"]
(name,) = signature.structured_input_signature[1]
spec = signature.structured_input_signature[1][name]
module = tf.Module()
module.source = source


@tf.function(input_signature=[tf.TensorSpec(spec.shape, spec.dtype, name)], autograph=False)
def serve(image):
    return signature(**{name: tf.reverse(image, axis=[-1])})


tf.saved_model.save(module, sys.argv[2], signatures={"serving_default": serve})
