"""Preprocessing of transformers' models, from their preprocessor_config.json."""

from collections.abc import Iterator, Mapping, Sequence

from edgeprep.importers import stages
from edgeprep.importers.processors import PROCESSORS, Processor
from edgeprep.importers.resampling import method
from edgeprep.importers.stages import Table
from edgeprep.importers.values import (
    crop_share,
    keys_left,
    length,
    number,
    numbers,
    positive,
    table,
    text,
)
from edgeprep.schema import join, nearest_or_all
from edgeprep.schema.messages import broken

__all__ = ["from_transformers"]

TYPES = ("image_processor_type", "feature_extractor_type")
SUFFIXES = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")
# Keys that say nothing of the pixels of one picture. `do_pad` fills up to the largest of a batch.
SILENT = (
    "_name_or_path",
    "_processor_class",
    "_valid_processor_keys",
    "auto_map",
    "backend",
    "data_format",
    "device",
    "disable_grouping",
    "do_convert_annotations",
    "do_convert_rgb",
    "do_reduce_labels",
    "format",
    "id2label",
    "image_seq_length",
    "input_data_format",
    "label2id",
    "model_input_names",
    "name_or_path",
    "num_labels",
    "pad_and_return_pixel_mask",
    "processor_class",
    "reduce_labels",
    "return_tensors",
    "task",
    "transformers_version",
    "use_fast",
)
READ = (
    *TYPES,
    "crop_size",
    "default_to_square",
    "do_center_crop",
    "do_normalize",
    "do_pad",
    "do_rescale",
    "do_resize",
    "image_mean",
    "image_std",
    "max_size",
    "resample",
    "rescale_factor",
    "size",
)
LONGER = "; fine-tune with a fixed size, or write the resize by hand"
# Where ConvNeXT stops to crop, and warps: in pixels.
CONVNEXT_WARPS = 384


def from_transformers(config: Mapping[str, object]) -> tuple[Table, ...]:
    """What an image processor does to a picture, as tables of a recipe.

    Args:
        config: a model's `preprocessor_config.json`, also of old releases, or its
            `processor_config.json`. What it does not say is taken from the class that it names.

    Raises:
        RecipeError: the class or a key is not known, or says what no stage can do.

    Source: the image processors of transformers 5.23 (tests/importers/test_from_transformers.py).
    """
    where = ""
    if isinstance(config.get("image_processor"), Mapping):
        where = "image_processor"
        config = table(config[where], where)
    # transformers takes the default of the class for null, too.
    given = {key: value for key, value in config.items() if value is not None}
    processor = _processor(given, where)
    keys_left(given, (*READ, *SILENT, *_own(processor)), where)
    return _Reader(given, processor, where).tables()


def _processor(given: Mapping[str, object], where: str) -> Processor:
    key = next((key for key in TYPES if key in given), TYPES[0])
    if key not in given:
        rule = "must name the class, whose defaults count where a key is absent"
        remedy = "; add it, such as 'ViTImageProcessor'"
        raise broken(join(where, key), rule, None, remedy)
    name = text(given[key], join(where, key))
    stem = next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)
    if stem not in PROCESSORS:
        rule = "must be a class whose every step is a stage"
        known = nearest_or_all(stem, PROCESSORS)
        remedy = f"{known}; for others write the stages by hand"
        raise broken(join(where, key), rule, name, remedy)
    return PROCESSORS[stem]


def _own(processor: Processor) -> Iterator[str]:
    """The keys that mean something to some classes alone."""
    if processor.crop_pct is not None:
        yield "crop_pct"
    if processor.flip is not None:
        yield "do_flip_channel_order"
    if processor.include_top is not None:
        yield from ("include_top", "rescale_offset")
    if processor.way == "multiple":
        yield from ("ensure_multiple_of", "keep_aspect_ratio")


class _Reader:
    """One file, read as its class reads it."""

    def __init__(self, given: Mapping[str, object], processor: Processor, where: str) -> None:
        self.given = given
        self.processor = processor
        self.where = where

    def tables(self) -> tuple[Table, ...]:
        """The stages, in the order of transformers: resize, crop, numbers, channels."""
        resized = self._resize() if self._flag("do_resize", default=True) else ()
        cropped = self._center_crop(resized)
        self._pad(resized)
        return (*resized, *cropped, *self._flip(), *self._numbers())

    def _path(self, key: str) -> str:
        return join(self.where, key)

    def _flag(self, key: str, *, default: bool) -> bool:
        value = self.given.get(key, default)
        if not isinstance(value, bool):
            raise broken(self._path(key), "must be true or false", value)
        return value

    def _resize(self) -> tuple[Table, ...]:
        way = method(self.given.get("resample", self.processor.resample), self._path("resample"))
        if way == "bicubic" and self.processor.floats:
            rule = "must be 2, bilinear, for a class that resizes floats, which 3 takes out of 0..1"
            raise broken(self._path("resample"), rule, 3, "; fine-tune with 2")
        size = self._size("size", self.given.get("size", self.processor.size))
        match self.processor.way:
            case "convnext":
                return self._convnext(size, way)
            case "levit" if len(size) == 1:
                size = (int(256 / 224 * size[0]),)
            case "poolformer":
                size = self._poolformer(size)
            case "multiple":
                self._multiple(size)
            case "fixed" | "limited" if len(size) == 1:
                rule = "must be {'height': …, 'width': …}, as no stage limits the longer side"
                raise broken(self._path("size"), rule, self.given.get("size"), LONGER)
        if len(size) == 1:
            return (stages.shorter_side(size[0], way),)
        return (stages.resize(size, way),)

    def _convnext(self, size: Sequence[int], way: stages.Method) -> tuple[Table, ...]:
        if len(size) != 1:
            rule = "must be {'shortest_edge': …} for ConvNeXT"
            raise broken(self._path("size"), rule, self.given.get("size"))
        edge = size[0]
        if edge >= CONVNEXT_WARPS:
            return (stages.resize((edge, edge), way),)
        larger = int(edge / self._crop_pct())
        return stages.shorter_side(larger, way), stages.center_crop((edge, edge))

    def _poolformer(self, size: Sequence[int]) -> tuple[int, ...]:
        larger = tuple(int(edge / self._crop_pct()) for edge in size)
        # A square size is read as one length here, and another is warped to.
        return larger[:1] if len(set(size)) == 1 else larger

    def _multiple(self, size: Sequence[int]) -> None:
        if len(size) == 1:
            rule = "must be {'height': …, 'width': …} for DPT"
            raise broken(self._path("size"), rule, self.given.get("size"))
        if self._flag("keep_aspect_ratio", default=False):
            rule = "must be false, as no stage chooses a size for each picture"
            raise broken(self._path("keep_aspect_ratio"), rule, True, LONGER)
        where = self._path("ensure_multiple_of")
        multiple = length(self.given.get("ensure_multiple_of", 1), where)
        # transformers rounds the size to a multiple, which here is written down.
        if any(edge % multiple for edge in size):
            raise broken(where, f"must divide size, {list(size)!r}", multiple, "; change size")

    def _crop_pct(self) -> float:
        given = self.given.get("crop_pct", self.processor.crop_pct)
        return crop_share(given, self._path("crop_pct"))

    def _size(self, key: str, value: object) -> tuple[int, ...]:
        """One length for the shorter side, or height and width."""
        where = self._path(key)
        if not isinstance(value, Mapping):
            if isinstance(value, list | tuple) and len(value) == 2:
                return length(value[0], f"{where}[0]"), length(value[1], f"{where}[1]")
            if isinstance(value, list | tuple):
                raise broken(where, "must be a length, or [height, width]", value)
            if self.given.get("max_size") is not None and key == "size":
                rule = "must be absent, as no stage limits the longer side"
                raise broken(self._path("max_size"), rule, self.given["max_size"], LONGER)
            edge = length(value, where)
            return (edge, edge) if key == "crop_size" or self._is_square() else (edge,)
        said = {key: item for key, item in value.items() if item is not None}
        if said.keys() == {"height", "width"}:
            return length(said["height"], f"{where}.height"), length(
                said["width"], f"{where}.width"
            )
        if said.keys() == {"shortest_edge"} and key == "size":
            return (length(said["shortest_edge"], f"{where}.shortest_edge"),)
        rule = (
            "must have height and width, or shortest_edge alone, as no stage limits the longer side"
        )
        raise broken(where, rule, dict(said), LONGER)

    def _is_square(self) -> bool:
        """Whether one length means a square, and not the shorter side."""
        said = self._flag("default_to_square", default=self.processor.square)
        return said and self.processor.way != "limited"

    def _center_crop(self, resized: Sequence[Table]) -> tuple[Table, ...]:
        crop = self.processor.crop
        if not self._flag("do_center_crop", default=crop is not None):
            return ()
        size = self._size("crop_size", self.given.get("crop_size", crop))
        arriving = resized[-1]["size"] if resized else list(size)
        if arriving == list(size):
            return (stages.center_crop(size),) if not resized else ()
        sides = arriving if isinstance(arriving, list) else [arriving, arriving]
        if any(keep > side for keep, side in zip(size, sides, strict=True)):
            rule = f"must be at most {sides!r}, which arrives"
            remedy = "; transformers would fill the rest with black: fine-tune with a larger size"
            raise broken(self._path("crop_size"), rule, list(size), remedy)
        return (stages.center_crop(size),)

    def _pad(self, resized: Sequence[Table]) -> None:
        if not self._flag("do_pad", default=False):
            return
        if not resized or not isinstance(resized[-1]["size"], list):
            rule = "must be false where pictures of many sizes come"
            raise broken(self._path("do_pad"), rule, True, "; fine-tune with a fixed size")

    def _flip(self) -> tuple[Table, ...]:
        flip = self.processor.flip
        if flip is None or not self._flag("do_flip_channel_order", default=flip):
            return ()
        return (stages.color("bgr"),)

    def _numbers(self) -> tuple[Table, ...]:
        factor, offset = 1.0, 0.0
        if self._flag("do_rescale", default=True):
            where = self._path("rescale_factor")
            (factor,) = positive((number(self.given.get("rescale_factor", 1 / 255), where),), where)
            offset = float(self._flag("rescale_offset", default=False))
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        normalize, top = self.processor.normalize, self.processor.include_top
        if normalize is not None and self._flag("do_normalize", default=normalize):
            mean = self._channels("image_mean", self.processor.mean)
            std = self._std()
        if top is not None and self._flag("include_top", default=top):
            # EfficientNet divides once more, as its original in Keras does.
            first, second, third = (a * b for a, b in zip(std, self._std(), strict=True))
            std = (first, second, third)
        first, second, third = (value + offset for value in mean)
        return stages.normalize((first, second, third), std, factor)

    def _std(self) -> tuple[float, float, float]:
        read = self._channels("image_std", self.processor.std)
        positive(read, self._path("image_std"))
        return read

    def _channels(self, key: str, default: Sequence[float]) -> tuple[float, float, float]:
        where = self._path(key)
        read = numbers(self.given.get(key, default), where)
        if len(read) not in (1, 3):
            raise broken(where, "must be 3 numbers, one a channel", list(read))
        first, second, third = read * 3 if len(read) == 1 else read
        return first, second, third
