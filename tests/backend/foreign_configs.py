"""The config.pbtxt of each foreign model; None for a model without one."""

from inference.pbtxt import parameter

# NVIDIA's default is two instances; one is enough for most tests.
ONE = "instance_group [{ count: 1 kind: KIND_CPU }]\n"
SAVEDMODEL = 'platform: "tensorflow_savedmodel"\n'

CONFIGS = {
    "several_inputs": None,
    "all_types": ONE + parameter("precision", "f32"),
    "constant_outputs": f"""
        {ONE} max_batch_size: 16 output {{ name: "y" data_type: TYPE_FP32 dims: [2] }}
    """,
    "unbatched": None,
    "nested": ONE,
    "single_values": ONE + parameter("engine", "openvino"),
    "many_variables": ONE,
    "quantised": ONE,
    "boxes": f"""
        {ONE} max_batch_size: 16
        dynamic_batching {{ preferred_batch_size: [16] max_queue_delay_microseconds: 500000 }}
    """,
    "centred": f"""
        {SAVEDMODEL} {ONE} max_batch_size: 16
        dynamic_batching {{ preferred_batch_size: [16] max_queue_delay_microseconds: 500000 }}
    """,
    "tagged": ONE + parameter("TF_GRAPH_TAG", "edge"),
    "strings": f"""
        {SAVEDMODEL} {ONE} max_batch_size: 8
        dynamic_batching {{ preferred_batch_size: [3] max_queue_delay_microseconds: 500000 }}
        model_warmup {{ name: "five rows" batch_size: 5 inputs {{ key: "text" value {{
            data_type: TYPE_STRING dims: [1] zero_data: true }} }} }}
    """,
    "variable": f"""
        {SAVEDMODEL} {ONE} max_batch_size: 32
        dynamic_batching {{ preferred_batch_size: [12] max_queue_delay_microseconds: 500000 }}
    """,
    "signatures": f"""
        {SAVEDMODEL} {ONE} max_batch_size: 16
        model_warmup {{ name: "twelve rows" batch_size: 12 inputs {{ key: "x" value {{
            data_type: TYPE_FP32 dims: [1] zero_data: true }} }} }}
    """,
    "any_rank": ONE + 'input { name: "x" data_type: TYPE_FP32 dims: [2, 3] }',
    "versions": f"{SAVEDMODEL} {ONE} version_policy {{ specific {{ versions: [1, 3] }} }}",
    "sequence": f"""
        {SAVEDMODEL} {ONE} max_batch_size: 4
        input {{ name: "x" data_type: TYPE_FP32 dims: [1] }}
        output {{ name: "y" data_type: TYPE_FP32 dims: [1] }}
        sequence_batching {{ control_input [{{ name: "START" control [
            {{ kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] }}] }}] }}
    """,
}

# Models that serve another model's SavedModel with their own configuration.
RELATIVES = {
    "chosen": ("signatures", ONE + parameter("signature", "triple") + parameter("threads", "1")),
    "chosen_as_nvidia_did": (
        "signatures",
        ONE
        + parameter("TF_SIGNATURE_DEF", "triple")
        + parameter("TF_NUM_INTRA_THREADS", "1")
        + parameter("TF_NUM_INTER_THREADS", "1"),
    ),
    "unquantised": ("quantised", ONE + parameter("precision", "f32")),
    "bfloat": ("signatures", ONE + parameter("precision", "bf16")),
    "no_batching": (
        "variable",
        f"""
        {SAVEDMODEL} {ONE} max_batch_size: 0
        input {{ name: "points" data_type: TYPE_FP32 dims: [-1, -1, 2] }}
        output {{ name: "centre" data_type: TYPE_FP32 dims: [-1, 2] }}
        """,
    ),
    "narrowed": (
        "variable",
        f"""
        {SAVEDMODEL} {ONE} max_batch_size: 1
        input {{ name: "points" data_type: TYPE_FP32 dims: [5, 2] }}
        """,
    ),
    "default_batching": (
        "variable",
        f"""
        {SAVEDMODEL} {ONE}
        input {{ name: "points" data_type: TYPE_FP32 dims: [-1, 2] }}
        """,
    ),
    "no_batching_by_output": (
        "variable",
        f"""
        {SAVEDMODEL} {ONE}
        output {{ name: "centre" data_type: TYPE_FP32 dims: [-1, 2] }}
        """,
    ),
    "reshaped": (
        "signatures",
        f"""
        {SAVEDMODEL} {ONE} max_batch_size: 2
        input {{ name: "x" data_type: TYPE_FP32 dims: [1, 1] reshape {{ shape: [1] }} }}
        output {{ name: "y" data_type: TYPE_FP32 dims: [1] }}
        """,
    ),
    "some_outputs": (
        "several_inputs",
        f'{ONE} max_batch_size: 1 output {{ name: "sum" data_type: TYPE_FP32 dims: [3] }}',
    ),
    "renamed_file": (
        "signatures",
        f'{SAVEDMODEL} {ONE} default_model_filename: "renamed.savedmodel"',
    ),
}
