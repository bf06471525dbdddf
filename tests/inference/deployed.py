"""The configuration of a model of three versions, which deployments change."""

CONFIG = """\
# version_policy { all { } } would serve all
name: "cat"  # a name
platform: "tensorflow_savedmodel"
parameters { key: "name" value { string_value: "version_policy { braces \\" }" } }
response_cache { enable: true }
parameters { key: "golden_label_v1" value { string_value: "cat" } }
parameters { key: "golden_label_v2" value { string_value: "cat" } }
parameters { key: "golden_label_v3" value { string_value: "cat" } }
"""
