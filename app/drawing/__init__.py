"""Pictures of architectures: `draw` a space's sketch, `svg` it into text."""

from app.drawing.draw import draw, svg

__all__ = ["draw", "svg"]
