"""VisA, visual anomaly: twelve objects, among them circuit boards and several objects in an image.

    ROOT/split_csv/1cls.csv                     object,split,label,image,mask
    ROOT/CATEGORY/Data/Images/Normal/NNNN.JPG
    ROOT/CATEGORY/Data/Images/Anomaly/NNN.JPG
    ROOT/CATEGORY/Data/Masks/Anomaly/NNN.png

with CATEGORY candle, capsules, cashew, chewinggum, fryum, macaroni1, macaroni2, pcb1, pcb2, pcb3, pcb4 or pipe_fryum.
The CSV is the authors' split for one class: nine in ten normal images for training; the others, and all anomalous ones,
for testing. A row is

``candle,test,anomaly,candle/Data/Images/Anomaly/016.JPG,candle/Data/Masks/Anomaly/016.png``

and a normal one ends with its comma. What the authors' prepare_data.py copies elsewhere is not needed.

Zou, Jeong, Pemula, Zhang, Dabeer: SPot-the-Difference self-supervised pre-training for anomaly detection and
segmentation. ECCV 2022, arXiv 2207.14315. CC BY 4.0, https://github.com/amazon-science/spot-diff
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from padim.data.layout import Layout, image_files
from padim.data.samples import Sample

LAYOUT = Layout.of(__doc__)
COLUMNS = ("object", "split", "label", "image", "mask")
ALLOWED = (("train", "normal"), ("test", "normal"), ("test", "anomaly"))

Row = dict[str, str]


class VisA:
    """Reader of one category; its anomalous images are all of the kind ``anomaly``."""

    def __init__(self, root: str | Path, category: str) -> None:
        self.root, self.category = Path(root), category
        self.csv = self.root / "split_csv" / "1cls.csv"

    def prepare(self) -> None:
        """Nothing to make: the images are there or they are not."""

    def train(self) -> list[Sample]:
        return self._samples("train")

    def test(self) -> list[Sample]:
        return self._samples("test")

    def _samples(self, split: str) -> list[Sample]:
        rows = self._rows()
        self._check_images(rows)
        samples = [(row["split"], self._sample(row)) for row in rows]
        self._check_masks(row["mask"] for row in rows)
        chosen = [sample for of, sample in samples if of == split]
        if not chosen:
            raise LAYOUT.wrong(f"{self.csv} has no row with object {self.category} and split {split}")
        return chosen

    def _rows(self) -> list[Row]:
        """The rows of the category."""
        LAYOUT.root(self.root)
        if not self.csv.is_file():
            raise LAYOUT.missing(f"no file {self.csv}, which says what is for training and what for testing")
        reader = csv.DictReader(LAYOUT.lines(self.csv), restval="", restkey="further")
        if absent := set(COLUMNS) - set(reader.fieldnames or ()):
            raise LAYOUT.wrong(f"{self.csv} lacks {', '.join(sorted(absent))} in its first line")
        rows = list(reader)
        chosen = [row for row in rows if row["object"] == self.category]
        if not chosen:
            raise LAYOUT.no_category(self.category, self.csv, (row["object"] for row in rows))
        return chosen

    def _check_images(self, rows: list[Row]) -> None:
        """Each is listed once."""
        seen: set[Path] = set()
        for row in rows:
            if Path(row["image"]) in seen:
                raise LAYOUT.wrong(f"two images of one name in {self.csv}: {row['image']}; remove one of the rows")
            seen.add(Path(row["image"]))

    def _sample(self, row: Row) -> Sample:
        image, mask = self.root / row["image"], self.root / row["mask"]
        if (row["split"], row["label"]) not in ALLOWED:
            allowed = "; ".join(", ".join(pair) for pair in ALLOWED)
            raise LAYOUT.wrong(f"{image} is {row['split']}, {row['label']} in {self.csv}; allowed are {allowed}")
        if not image.is_file():
            raise LAYOUT.missing(f"no image {image}, which {self.csv} lists")
        if row["label"] == "normal":
            if row["mask"]:
                raise LAYOUT.wrong(f"the normal image {image} has a mask in {self.csv}; remove it, or label it anomaly")
            return Sample(image)
        if not row["mask"] or not mask.is_file():
            place = f"at {mask}" if row["mask"] else f"in the last column of {self.csv}"
            raise LAYOUT.missing(f"the image {image} has no mask; expected it {place}")
        return Sample(image, "anomaly", mask)

    def _check_masks(self, listed: Iterable[str]) -> None:
        """None lies there that no row has."""
        known = {self.root / name for name in listed if name}
        for mask in image_files(self.root / self.category / "Data" / "Masks", recursive=True):
            if mask not in known:
                raise LAYOUT.wrong(
                    f"the mask {mask} has no image: no row of {self.csv} names it; add one, or remove it"
                )
