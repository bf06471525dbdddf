"""The test photographs and the classes they show."""

import csv
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Photo:
    """A photograph and the WordNet id and index of what it shows."""

    path: Path
    wnid: str
    index: int
    label: str

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()


def photos() -> list[Photo]:
    """Return the twelve photographs, in the manifest's order."""
    with (DATA / "photos/manifest.csv").open(newline="") as manifest:
        return [
            Photo(
                DATA / "photos" / row["file"],
                row["wnid"],
                int(row["class_index"]),
                row["class_name"],
            )
            for row in csv.DictReader(manifest)
        ]


def odd_images() -> list[tuple[Path, str]]:
    """Return the odd files and what the manifest expects of each: an index, `any` or `reject`."""
    with (DATA / "odd_images/manifest.csv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))
    return [(DATA / "odd_images" / row["file"], row["expected_class"]) for row in rows]


PATHS = [photo.path for photo in photos()]
LABELS = [photo.label for photo in photos()]
