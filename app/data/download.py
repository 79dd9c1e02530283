"""One clear line when torchvision can neither find nor fetch a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.errors import InputError


def fetch(name: str, folder: Path, dataset: Callable[..., Any], **options: Any) -> Any:
    """The torchvision data set `dataset(folder, **options)`, downloaded first if need be.

    Raises InputError when its files are not in `folder` and cannot be downloaded, or are broken.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return dataset(folder, download=True, **options)
    except Exception as error:  # URLError, RuntimeError, TarError, AssertionError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"'{name}' could not be downloaded or read ({reason}); its files were looked for in "
            f"{folder.absolute()}; without a network, --dataset FOLDER and --dataset digits work"
        ) from error
