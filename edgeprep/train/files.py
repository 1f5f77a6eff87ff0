"""The names of what a training leaves behind."""

__all__ = ["CHECKPOINT", "CURVE", "KEPT", "RESULT", "ROWS", "TABLE", "UNFINISHED", "WEIGHTS"]

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "weights.safetensors"
# The same numbers, for programs and for people.
ROWS, TABLE = "metrics.jsonl", "metrics.csv"
CURVE, RESULT = "curve.png", "result.json"

# What a training that begins anew removes of one before.
KEPT = (CHECKPOINT, WEIGHTS, ROWS, TABLE, CURVE, RESULT)
# What `atomic_write` had not given its name when the process was killed.
UNFINISHED = ".edgeprep-*.tmp"
