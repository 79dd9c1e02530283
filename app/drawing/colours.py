"""Colours of operations: a hue by what they do, deeper with the kernel of a convolution."""

from spaces.sketch import Kind

LINE = "#33414e"
KERNELS = {1: "#d3e5f5", 3: "#8fbfe6", 5: "#4a8fcb", 7: "#22649f"}
"""Of convolutions; a size between takes the colour of the next smaller one."""
FILL = {
    Kind.TERMINAL: "#f4f1ea",
    Kind.NODE: "#ffffff",
    Kind.POOLING: "#bfe3c0",
    Kind.IDENTITY: "#e6e6e6",
    Kind.NONE: "#ffffff",
}


def fill(kind: Kind, kernel: int) -> str:
    """The colour behind the text."""
    if kind is not Kind.CONVOLUTION:
        return FILL[kind]
    return KERNELS[max((k for k in KERNELS if k <= kernel), default=3)]


def text_on(background: str) -> str:
    """Black or white, whichever is easier to read on this colour."""
    red, green, blue = (int(background[i : i + 2], 16) for i in (1, 3, 5))
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else "#1a222a"
