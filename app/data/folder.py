"""A folder of pictures: `train/<class>/*` with `test/` or `val/`, or `<class>/*` to be split."""

from collections import Counter
from pathlib import Path

from app.data.decode import read_file
from app.data.pictures import Pictures, Source
from app.data.split import split
from app.errors import InputError

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
)
LAYOUT = "FOLDER/train/<class>/*.jpg with test/ (or val/) beside train/, or FOLDER/<class>/*.jpg"


def read_folder(folder: Path) -> Source:
    """List a folder's classes and pictures; nothing is decoded yet.

    Raises InputError for a layout that is none of the two, a missing, single or empty class, and
    a class with one picture where the folder is to be split.
    """
    parts = [part for part in ("train", "test", "val") if (folder / part).is_dir()]
    if len(parts) > 1 and parts[0] == "train":
        classes, train = _read_split(folder / "train")
        _, test = _read_split(folder / parts[1], expected=classes)
        return Source(classes, train, test)
    if any(_folders(folder / part) for part in parts):
        found = "/ and ".join(parts)
        raise InputError(f"{folder} has {found}/ but not both train/ and test/; use {LAYOUT}")
    classes, pictures = _read_split(folder)
    for label, count in Counter(pictures.labels).items():
        if count < 2:
            raise InputError(
                f"class '{classes[label]}' in {folder} has one picture, and a split into train "
                "and test needs two; add pictures or remove the class"
            )
    return Source(classes, *split(pictures))


def _read_split(folder: Path, expected: tuple[str, ...] = ()) -> tuple[tuple[str, ...], Pictures]:
    """Classes, sorted by name, and pictures, sorted by class and file name."""
    class_folders = _folders(folder)
    classes = tuple(path.name for path in class_folders)
    if not classes:
        raise InputError(f"{folder} holds no class folders; use {LAYOUT}")
    if expected and classes != expected:
        odd = ", ".join(sorted(set(classes) ^ set(expected))[:5])
        raise InputError(
            f"the train split and {folder} must have the same classes; only in one of them: {odd}"
        )
    if len(classes) == 1:
        raise InputError(f"{folder} holds one class, '{classes[0]}'; telling apart takes two")
    paths: list[Path] = []
    labels: list[int] = []
    for label, class_folder in enumerate(class_folders):
        pictures = [path for path in _entries(class_folder) if _is_picture(path)]
        if not pictures:
            endings = " ".join(sorted(EXTENSIONS))
            raise InputError(
                f"class folder {class_folder} holds no pictures ({endings}); add some or remove it"
            )
        paths += pictures
        labels += [label] * len(pictures)
    return classes, Pictures(labels, lambda i, size: read_file(paths[i], size))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.is_dir()


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _entries(folder: Path) -> list[Path]:
    """What lies in `folder`, sorted by name, hidden entries left out."""
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"cannot list {folder} ({error.strerror}); check its rights") from error
    return sorted(entries, key=lambda path: path.name)
