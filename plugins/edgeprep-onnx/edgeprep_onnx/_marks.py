"""What the exporter writes into a file for the backend to know."""

from edgeprep.interfaces import Precision

__all__ = ["BATCH", "FIXED_BATCH", "REDUCIBLE", "WEIGHT_RANGE", "has_reduced_weights"]

# What the first axis is called where the number of pictures is left open, and the key of the
# metadata that says why it is not.
BATCH = "edgeprep.batch"
FIXED_BATCH = "edgeprep.fixed_batch"

# The precisions that multiply integers.
REDUCIBLE: tuple[Precision, ...] = ("int8", "int8-dynamic")
# The key of the metadata that says of integer weights that they have 7 bits.
WEIGHT_RANGE = "edgeprep.weight_range"

# As protobuf writes the pair; all that comes behind it is length and other metadata.
_REDUCED = b"\x0a" + bytes([len(WEIGHT_RANGE)]) + WEIGHT_RANGE.encode() + b"\x12\x07reduced"


def has_reduced_weights(content: bytes) -> bool:
    """Whether the exporter wrote `content` with 7 bits for integer weights.

    Without the onnx library, which no device needs. Metadata are the last but one field of a model,
    and the last that the exporter writes.
    """
    return content.endswith(_REDUCED)
