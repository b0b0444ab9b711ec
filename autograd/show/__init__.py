"""The recorded graph as a picture."""

from .draw import Drawing, draw

__all__ = ["Drawing", "draw"]
