"""A folder of images: `train/<class>/*` with `test/`, `val/` or both, or `<class>/*` to split."""

import os
from collections import Counter
from functools import partial
from pathlib import Path
from unicodedata import normalize

from app.console import first_few, notice
from app.data.decode import is_image, read_file
from app.data.split import LazyImage, Source, train_test_split
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
    is none of the two, a missing, single or empty class, a class of one image where the folder is
    to be split.
    """
    listing = _Listing(folder)
    source = listing.read()
    reasons = [f"{reason} ({count})" for reason, count in listing.left_out.most_common() if count]
    left_out = f"Left out: {first_few(reasons)}." if reasons else ""
    if source is None:
        problems = "; ".join(dict.fromkeys(listing.problems))
        raise InputError(f"{folder}: {problems}. {left_out}")
    if left_out:
        notice(f"{folder}: {left_out}")
    return source


class _Listing:
    """Lists a folder, and gathers what there is to say about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self.left_out: Counter[str] = Counter()

    def read(self) -> Source | None:
        """The data set, or None and problems."""
        folders, files = self._list(self.folder)
        splits = {split: name for name in reversed(folders) if (split := SPLITS.get(name.lower()))}
        if "train" in splits and len(splits) > 1:
            parts = [splits[split] for split in ("train", "test", "val") if split in splits]
            used = " and ".join(f"{name}/" for name in parts)
            self._count_outside(files)
            for name in [name for name in folders if name not in parts]:
                unused = len(self._images(self.folder / name))
                self.left_out[f"images in {name}/, since only {used} are used"] = unused
        elif any(self._list(self.folder / name)[0] for name in splits.values()):
            found = " and ".join(f"{name}/" for name in sorted(splits.values()))
            self.problems.append(f"has {found} but not both train/ and test/; use {LAYOUT}")
            return None
        else:
            parts = [""]
        least = 1 if len(parts) > 1 else 2  # a class to be split must be in train and in test
        by_class = [self._read_classes(part, least) for part in parts]
        train = by_class[0]
        everywhere = set(train).intersection(*by_class)
        if all(by_class) and (odd := set(train).union(*by_class) - everywhere):
            self.problems.append(
                f"{used} must have the same classes; not in all of them: {first_few(sorted(odd))}"
            )
        if self.problems:
            return None
        images = [
            [
                LazyImage(label, str(path), partial(read_file, path))
                for label, name in enumerate(train)
                for path in classes[name]
            ]
            for classes in by_class
        ]
        root = self.folder / parts[0]
        names = tuple(paths[0].relative_to(root).parts[0] for paths in train.values())
        return Source(names, *(images if len(parts) > 1 else train_test_split(images[0])))

    def _read_classes(self, part: str, least: int) -> dict[str, list[Path]]:
        """Images by class, sorted by class, folder and file name; each needs `least`.

        Systems write accents in two ways, which look alike: the same class.
        """
        where = f" in {part}/" if part else ""
        names, files = self._list(self.folder / part)
        self._count_outside(files)
        classes: dict[str, list[Path]] = {}
        for name in names:
            images = self._images(self.folder / part / name)
            classes.setdefault(normalize("NFC", name), []).extend(images)
        if len(classes) < 2:
            self.problems.append(
                f"classification needs two class folders{where}, found: "
                f"{first_few(names) or 'none'}; use {LAYOUT}"
            )
        if few := [name for name, images in classes.items() if len(images) < least]:
            amount = "no images" if least == 1 else "fewer than two images"
            self.problems.append(
                f"class folders{where} with {amount}: {first_few(few)}; add some or remove these"
            )
        return classes

    def _images(self, folder: Path) -> list[Path]:
        """The images in and below a class folder."""
        images: list[Path] = []
        seen = {os.path.realpath(folder.parent)}
        for place, folders, files in os.walk(folder, onerror=self._cannot_list, followlinks=True):
            if (real := os.path.realpath(place)) in seen:  # a link upwards would go round for ever
                folders.clear()
                continue
            seen.add(real)
            folders[:] = _without_junk(folders)
            images += filter(self._is_image, (Path(place, name) for name in _without_junk(files)))
        return images

    def _is_image(self, path: Path) -> bool:
        suffix = path.suffix.lower()
        if not path.is_file():  # reading would wait at a pipe, and never end at a device
            self.left_out["pipes, devices and broken links"] += 1
        elif suffix in EXTENSIONS or is_image(path):
            return True
        else:
            self.left_out[f"unsupported {suffix} files" if suffix else "unsupported files"] += 1
        return False

    def _list(self, folder: Path) -> tuple[list[str], list[str]]:
        """Names of folders and of files in `folder`."""
        _, folders, files = next(os.walk(folder, onerror=self._cannot_list), ("", [], []))
        return _without_junk(folders), _without_junk(files)

    def _cannot_list(self, error: OSError) -> None:
        self.problems.append(f"cannot list {error.filename} ({error.strerror}); check its rights")

    def _count_outside(self, files: list[str]) -> None:
        outside = sum(Path(name).suffix.lower() in EXTENSIONS for name in files)
        self.left_out["images outside a class folder"] += outside


def _without_junk(names: list[str]) -> list[str]:
    """Sorted, without what systems leave in folders."""
    return sorted(name for name in names if name[0] != "." and name.lower() not in JUNK)
