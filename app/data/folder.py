"""A folder of images: `train/<class>/*` with `test/` or `val/`, or `<class>/*` to be split."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from app.console import first_few, notice, printable
from app.data.decode import is_image, read_file
from app.data.split import LazySplit, Source, train_test_split
from app.errors import InputError

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
)
"""Files that must be images; whether any other one is, its content tells."""
LAYOUT = "FOLDER/train/<class>/*.jpg with test/ (or val/) beside train/, or FOLDER/<class>/*.jpg"
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}
JUNK = frozenset(("__macosx", "@eadir", "thumbs.db", "desktop.ini", "lost+found", "$recycle.bin"))
"""What systems leave in folders, in lower case, besides hidden files."""


def read_folder(folder: Path) -> Source:
    """List a folder's classes and images; none is decoded yet.

    Says in one line what is left out. Raises one InputError for all that is wrong: a layout that
    is none of the two, a missing, single or empty class, class names that look alike, a class of
    one image where the folder is to be split.
    """
    listing = _Listing(folder)
    source = listing.read()
    reasons = [f"{reason} ({count})" for reason, count in listing.left_out.most_common() if count]
    left_out = f"Left out: {first_few(reasons)}." if reasons else ""
    if listing.problems or source is None:
        raise InputError(
            printable(f"{folder}: {'; '.join(dict.fromkeys(listing.problems))}. {left_out}".strip())
        )
    if listing.nested:
        notice(f"{folder}: {listing.nested} images in sub-folders count for the class above them.")
    if left_out:
        notice(f"{folder}: {left_out}")
    return source


class _Listing:
    """Lists a folder, and gathers what there is to say about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.nested = 0

    def read(self) -> Source | None:
        """The data set, or None and problems."""
        folders, files = self._list(self.folder)
        splits: dict[str, str] = {}
        for name in folders:
            if split := SPLITS.get(name.lower()):
                splits.setdefault(split, name)
        if "train" in splits and len(splits) > 1:
            self._count_outside(files)
            return self._read_splits(folders, splits)
        if any(self._list(self.folder / name)[0] for name in splits.values()):
            found = " and ".join(f"{name}/" for name in splits.values())
            self.problems.append(f"has {found} but not both train/ and test/; use {LAYOUT}")
            return None
        classes, images = self._read_classes(self.folder)
        self._check_names(classes)
        counts = Counter(images.labels)
        if single := [name for label, name in enumerate(classes) if counts[label] == 1]:
            self.problems.append(
                f"only one image in class {first_few(single)}, and a split into train and test "
                "needs two; add images or remove the class"
            )
        return None if self.problems else Source(classes, *train_test_split(images))

    def _read_splits(self, folders: list[str], splits: dict[str, str]) -> Source:
        train, test = splits["train"], splits.get("test") or splits["val"]
        classes, train_images = self._read_classes(self.folder / train, f" in {train}/")
        test_classes, test_images = self._read_classes(self.folder / test, f" in {test}/")
        self._check_names({*classes, *test_classes})
        odd = {*map(_composed, classes)} ^ {*map(_composed, test_classes)}
        if odd and classes and test_classes:
            self.problems.append(
                f"{train}/ and {test}/ must have the same classes; only in one of them: "
                f"{first_few(sorted(odd))}"
            )
        for name in folders:
            if name not in (train, test):
                reason = f"images in {name}/, since only {train}/ and {test}/ are used"
                self.left_out[reason] = len(self._images(self.folder / name, set()))
        return Source(classes, train_images, test_images)

    def _read_classes(self, folder: Path, where: str = "") -> tuple[tuple[str, ...], LazySplit]:
        """Classes, sorted by name, and images, sorted by class, folder and file name."""
        classes, files = self._list(folder)
        self._count_outside(files)
        if not classes:
            self.problems.append(f"no class folders{where}; use {LAYOUT}")
        elif len(classes) == 1:
            only = folder / classes[0]
            hint = f" (is {only} the data set?)" if self._list(only)[0] else ""
            self.problems.append(
                f"only one class folder{where}, {only.name}, and classification needs two{hint}"
            )
        by_class = [self._images(folder / name, {os.path.realpath(folder)}) for name in classes]
        if empty := [name for name, paths in zip(classes, by_class, strict=True) if not paths]:
            self.problems.append(
                f"no images in class folder {first_few(empty)}{where}; add some or remove it"
            )
        labels = [label for label, paths in enumerate(by_class) for _ in paths]
        images = [path for paths in by_class for path in paths]
        self.nested += sum(path.parent.parent != folder for path in images)
        return tuple(classes), LazySplit(
            labels, [*map(str, images)], lambda i, size, ranges: read_file(images[i], size, ranges)
        )

    def _images(self, folder: Path, seen: set[str]) -> list[Path]:
        """The images in and below a class folder; `seen` are folders not to go to again."""
        if (real := os.path.realpath(folder)) in seen:  # a link upwards would go round for ever
            return []
        seen.add(real)
        folders, files = self._list(folder)
        images = [path for name in files if self._is_image(path := folder / name)]
        for name in folders:
            images += self._images(folder / name, seen)
        return images

    def _is_image(self, path: Path) -> bool:
        if not path.is_file():  # reading would wait at a pipe, and never end at a device
            self.left_out["pipes, devices and broken links"] += 1
            return False
        suffix = path.suffix.lower()
        if suffix in EXTENSIONS or is_image(path):
            return True
        self.left_out[f"unsupported {suffix} files" if suffix else "unsupported files"] += 1
        return False

    def _list(self, folder: Path) -> tuple[list[str], list[str]]:
        """Names of folders and of files in `folder`, sorted, without what systems leave there."""
        _, folders, files = next(os.walk(folder, onerror=self._cannot_list), ("", [], []))
        folders, files = (
            sorted(name for name in names if name[0] != "." and name.lower() not in JUNK)
            for names in (folders, files)
        )
        return folders, files

    def _cannot_list(self, error: OSError) -> None:
        self.problems.append(f"cannot list {error.filename} ({error.strerror}); check its rights")

    def _count_outside(self, files: list[str]) -> None:
        outside = sum(Path(name).suffix.lower() in EXTENSIONS for name in files)
        self.left_out["images outside a class folder"] += outside

    def _check_names(self, classes: Iterable[str]) -> None:
        for name, count in Counter(map(_composed, classes)).items():
            if count > 1:
                self.problems.append(
                    f"class {name} is written in two Unicode forms (NFC, NFD) that look alike; "
                    "rename or merge the folders"
                )


def _composed(name: str) -> str:
    return normalize("NFC", name)
