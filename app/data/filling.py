"""Decode all pictures of a split with a pool of threads; Pillow releases the interpreter lock."""

import os
import warnings
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, as_completed, wait

from PIL import Image
from torch import Tensor

from app.console import progress_bar
from app.data.pictures import Pictures
from app.errors import InputError

CHUNK = 16  # pictures a task: the pool costs little, and a few large photographs keep it busy
PATIENCE = 1.0  # seconds before a bar appears


def fill(pixels: Tensor, pictures: Pictures, description: str) -> dict[int, str]:
    """Decode `pictures` into `pixels` (uint8, N×3×S×S), with a progress bar if it takes a while.

    Returns what is wrong with those that cannot be read, by index; their pixels are unset.
    """
    broken: dict[int, str] = {}

    target = pixels.numpy()  # the same memory; NumPy writes small pictures faster than torch

    def decode(start: int) -> int:
        stop = min(start + CHUNK, len(pictures))
        for i in range(start, stop):
            try:
                target[i] = pictures.read(i, pixels.shape[-1]).transpose(2, 0, 1)
            except InputError as error:
                broken[i] = str(error)
        return stop - start

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        # Pillow warns from 89 megapixels on; `decode.read_file` has a limit of its own.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        tasks = [pool.submit(decode, start) for start in range(0, len(pictures), CHUNK)]
        try:
            ready, pending = wait(tasks, PATIENCE, FIRST_EXCEPTION)
            done = sum(task.result() for task in ready)
            if pending:
                with progress_bar(description, len(pictures), done) as advance:
                    for task in as_completed(pending):
                        advance(task.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return dict(sorted(broken.items()))
