"""Write the data sets here anew: `python write.py`, where both writers are installed.

Three pictures with boxes as VOC, YOLO and COCO, by Datumaro 1.13.12, and ten with classes as those
of MNIST, by idx2numpy 1.2.3. What is in them, and what tests expect, is in contents.json.
"""

import json
from pathlib import Path

import idx2numpy
import numpy as np
from datumaro.components.annotation import Bbox
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

HERE = Path(__file__).resolve().parent
CONTENTS = json.loads((HERE / "contents.json").read_text())


def main() -> None:
    """Write them all."""
    boxes = Dataset.from_iterable(
        [
            DatasetItem(
                id=name,
                subset="train",
                media=Image.from_numpy(picture(index, 24, 32)),
                annotations=[
                    Bbox(x0, y0, x1 - x0, y1 - y0, label=CONTENTS["labels"].index(label), id=number)
                    for number, (label, x0, y0, x1, y1) in enumerate(objects, 1)
                ],
            )
            for index, (name, objects) in enumerate(CONTENTS["boxes"].items())
        ],
        categories=CONTENTS["labels"],
    )
    for name in ("voc_detection", "yolo", "coco_instances"):
        boxes.export(str(HERE / name), name, save_media=True)
    digits = [picture(index, 28, 28)[..., 0] for index in range(len(CONTENTS["mnist"]))]
    idx2numpy.convert_to_file(str(HERE / "digits-idx3-ubyte"), np.stack(digits))
    classes = np.array(CONTENTS["mnist"], np.uint8)
    idx2numpy.convert_to_file(str(HERE / "classes-idx1-ubyte"), classes)


def picture(index: int, height: int, width: int) -> np.ndarray:
    """One in which rows, columns and channels can be told apart, `(height, width, 3)`, BGR."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows + index, columns + 50, rows + columns + 100], axis=-1).astype(np.uint8)


if __name__ == "__main__":
    main()
