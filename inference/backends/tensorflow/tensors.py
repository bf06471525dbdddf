"""The names, types and shapes of a signature's tensors, as TensorFlow and as Triton spell them."""

from dataclasses import dataclass

# TensorFlow's DataType numbers (types.proto) that Triton's Python backend has a type for.
TRITON_TYPES = {
    1: "TYPE_FP32", 2: "TYPE_FP64", 3: "TYPE_INT32", 4: "TYPE_UINT8", 5: "TYPE_INT16",
    6: "TYPE_INT8", 7: "TYPE_STRING", 9: "TYPE_INT64", 10: "TYPE_BOOL",
    17: "TYPE_UINT16", 19: "TYPE_FP16", 22: "TYPE_UINT32", 23: "TYPE_UINT64",
}  # fmt: skip

TENSORFLOW_NAMES = {
    8: "complex64", 11: "qint8", 12: "quint8", 13: "qint32", 14: "bfloat16", 18: "complex128",
    20: "resource", 21: "variant",
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """One input or output; `data_type` is Triton's, or a word of TensorFlow's for what it lacks.

    `shape` includes the batch dimension; -1 is a dimension that varies; None is an unknown rank.
    """

    name: str
    data_type: str
    shape: tuple[int, ...] | None

    @property
    def is_of_tritons_type(self) -> bool:
        """Tell whether Triton has a type for it."""
        return self.data_type in TRITON_TYPES.values()

    @property
    def batches(self) -> bool:
        """Tell whether the first dimension varies, so that Triton may batch over it."""
        return self.shape is None or (len(self.shape) > 0 and self.shape[0] == -1)

    def dims(self, batched: bool) -> list[int]:
        """Give Triton's dims: without the batch dimension if Triton batches.

        An unknown rank counts as one varying size.
        """
        if self.shape is None:
            return [-1]
        return list(self.shape[1:] if batched else self.shape)

    def __str__(self) -> str:
        """Spell it as people write it: `image TYPE_UINT8 [-1,224,224,3]`."""
        return f"'{self.name}' {self.data_type} {spell(self.shape)}"


def spell(shape: tuple[int, ...] | list[int] | None) -> str:
    """Spell a shape as config.pbtxt does."""
    return "[?]" if shape is None else "[" + ",".join(str(size) for size in shape) + "]"
