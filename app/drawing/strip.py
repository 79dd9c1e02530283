"""A chain of layers as a strip: colour says the kernel, height the expansion, gaps the stride."""

from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch

from app.drawing.colours import KERNELS, LINE, fill, text_on
from spaces.sketch import Kind, Layer, Strip

STEP, GAP = 0.5, 0.24  # inches a layer takes, and what a stride adds before it
HEIGHT = 0.2, 0.26  # of a block of expansion 0, and what each unit of expansion adds
SKIPPED = 0.26
MARGIN = 0.25
LEGEND = 7.2  # inches that a whole legend takes
BELOW, ABOVE = 0.62, 0.42
STRIDE = "#b2452f"
PALE = "#9aa5ae"


def size(strip: Strip) -> tuple[float, float]:
    """Width and height in inches that `draw_strip` wants."""
    strides = sum(layer.stride > 1 for layer in strip.layers)
    width = len(strip.layers) * STEP + strides * GAP + 2 * MARGIN
    return max(width, LEGEND), max(map(_height, strip.layers)) + BELOW + ABOVE


def draw_strip(axes: Axes, strip: Strip) -> None:
    """Draw into `axes`, one unit of which is one inch; layers stand on the line y = 0."""
    tallest = max(map(_height, strip.layers))
    places, x = [], 0.0
    for number, layer in enumerate(strip.layers, 1):
        if layer.stride > 1:
            _draw_stride(axes, layer.stride, x + GAP / 2, tallest)
            x += GAP
        _draw_layer(axes, layer, x + STEP / 2, tallest)
        axes.text(
            x + STEP / 2, -0.09, str(number), ha="center", va="center", fontsize=7, color="#7a8894"
        )
        places.append(x)
        x += STEP
    _draw_stages(axes, strip, places)
    _draw_legend(axes, strip, tallest)


def _draw_stride(axes: Axes, stride: int, x: float, tallest: float) -> None:
    middle, half_gap = tallest / 2, 0.12
    for ends in ((0, middle - half_gap), (middle + half_gap, tallest)):
        axes.plot([x, x], ends, color=STRIDE, linewidth=1)
    axes.text(
        x,
        middle,
        f"÷{stride}",
        ha="center",
        va="center",
        fontsize=8,
        fontweight="bold",
        color=STRIDE,
    )


def _draw_layer(axes: Axes, layer: Layer, middle: float, tallest: float) -> None:
    skipped = layer.kind is Kind.IDENTITY
    height, colour = _height(layer), fill(layer.kind, layer.kernel)
    axes.add_patch(
        FancyBboxPatch(
            (middle - STEP / 2 + 0.03, (tallest - height) / 2),
            STEP - 0.06,
            height,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor="#ffffff" if skipped else colour,
            edgecolor=PALE if skipped else LINE,
            linestyle="--" if skipped else "-",
            linewidth=0.9,
        )
    )
    text = layer.label
    if layer.kind is Kind.CONVOLUTION and layer.kernel:
        expansion = f"\ne{layer.expansion:g}" if layer.expansion != 1 else ""
        text = f"{layer.kernel}×{layer.kernel}{expansion}"
    axes.text(
        middle,
        tallest / 2,
        text,
        ha="center",
        va="center",
        fontsize=8 if len(text) <= 8 else 6.5,
        color="#7a8894" if skipped else text_on(colour),
        linespacing=1.15,
    )


def _draw_stages(axes: Axes, strip: Strip, places: list[float]) -> None:
    """Channels and pixels below each run of layers that share them."""
    for (channels, pixels), run in groupby(
        zip(strip.layers, places, strict=True), lambda pair: (pair[0].channels, pair[0].size)
    ):
        if not channels:
            continue
        xs = [x for _, x in run]
        left, right = xs[0] + 0.04, xs[-1] + STEP - 0.04
        text = f"{channels} channels, {pixels} px"
        if len(xs) < 3:
            text = f"{channels} ch\n{pixels} px"
        axes.plot([left, right], [-0.2, -0.2], color=PALE, linewidth=1.2)
        axes.text(
            (left + right) / 2,
            -0.27,
            text,
            ha="center",
            va="top",
            fontsize=7.5,
            color=LINE,
            linespacing=1.1,
        )


def _draw_legend(axes: Axes, strip: Strip, tallest: float) -> None:
    kernels = {layer.kernel for layer in strip.layers if layer.kind is Kind.CONVOLUTION}
    shown = [
        Patch(facecolor=KERNELS[k], edgecolor=LINE, linewidth=0.8, label=f"kernel {k}×{k}")
        for k in sorted(kernels & KERNELS.keys())
    ]
    if any(layer.kind is Kind.IDENTITY for layer in strip.layers):
        shown.append(Patch(facecolor="#fff", edgecolor=PALE, linestyle="--", label="no operation"))
    if len({layer.expansion for layer in strip.layers}) > 1:
        shown.append(Patch(facecolor="none", edgecolor="none", label="height: expansion e"))
    if any(layer.stride > 1 for layer in strip.layers):
        shown.append(Patch(facecolor="none", edgecolor="none", label="÷2: stride"))
    if shown:
        axes.legend(
            handles=shown,
            loc="lower left",
            bbox_to_anchor=(0.03, tallest + 0.08),
            bbox_transform=axes.transData,
            ncols=len(shown),
            fontsize=7.5,
            frameon=False,
            borderaxespad=0,
            handlelength=1.3,
            columnspacing=1.4,
        )


def _height(layer: Layer) -> float:
    if layer.kind is Kind.IDENTITY:
        return SKIPPED
    return HEIGHT[0] + HEIGHT[1] * min(max(layer.expansion, 1), 8)
