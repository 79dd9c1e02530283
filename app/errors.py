"""The one exception that means "the user can fix this": one clear line, exit status 2."""


class InputError(Exception):
    """Bad input: a setting, a file or a name that the user gave and can put right.

    The message is one line that says what is wrong and how to mend it. `app.exit_status` prints it
    without a traceback and exits with status 2.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; PyTorch on the CPU has no class for it."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "memory" in str(error) and "alloc" in str(error).lower()
    )


def one_of(name: str, kind: str, known: list[str]) -> InputError:
    """An unknown name, answered with the names that exist."""
    return InputError(f"unknown {kind} '{name[:100]}'; choose one of: {', '.join(sorted(known))}")
