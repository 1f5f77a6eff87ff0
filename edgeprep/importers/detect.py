"""Which library a JSON file is of, and its importer."""

from collections.abc import Callable, Mapping

from edgeprep.importers.mean_scale import from_openvino
from edgeprep.importers.onnxruntime_extensions import from_onnxruntime_extensions
from edgeprep.importers.stages import Table
from edgeprep.importers.timm import from_timm
from edgeprep.importers.transformers import from_transformers
from edgeprep.schema.messages import broken, nearest_or_all

__all__ = ["KINDS", "from_json"]

# What a file of each library is read with.
KINDS: Mapping[str, Callable[[Mapping[str, object]], tuple[Table, ...]]] = {
    "transformers": from_transformers,
    "timm": from_timm,
    "openvino": from_openvino,
    "onnxruntime-extensions": from_onnxruntime_extensions,
}
# The keys that tell: a file is of the first library of which it has one.
TELLING = {
    # Not crop_pct, which ConvNeXT of transformers has as well.
    "timm": ("pretrained_cfg", "input_size"),
    "transformers": (
        "image_processor_type",
        "feature_extractor_type",
        "image_processor",
        "do_resize",
        "do_normalize",
        "image_mean",
    ),
    "onnxruntime-extensions": ("processor",),
    "openvino": ("model_optimizer_args", "mean_values", "scale_values", "reverse_input_channels"),
}


def from_json(config: object, *, kind: str = "auto") -> tuple[str, tuple[Table, ...]]:
    """The library that a configuration is of, and its stages as tables of a recipe.

    Args:
        config: what a JSON file holds.
        kind: one of `KINDS`, or "auto" to tell by the keys.

    Raises:
        RecipeError: it is of no library that is known, or its importer refuses it.
    """
    if not isinstance(config, Mapping):
        raise broken("", "must be an object with keys", config)
    if kind == "auto":
        kind = _tell(config)
    elif kind not in KINDS:
        raise broken(
            "kind", f"must be 'auto' or one of {list(KINDS)!r}", kind, nearest_or_all(kind, KINDS)
        )
    return kind, KINDS[kind](config)


def _tell(config: Mapping[str, object]) -> str:
    for kind, keys in TELLING.items():
        if any(key in config for key in keys):
            return kind
    examples = ", ".join(repr(keys[0]) for keys in TELLING.values())
    rule = f"must have a key that tells its library, such as {examples}"
    remedy = "; name the library with --from (kind=)"
    if "model_type" in config:
        remedy = "; this describes a network of transformers: take its preprocessor_config.json"
    raise broken("", rule, sorted(config), remedy)
