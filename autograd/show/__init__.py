"""The recorded graph as a picture, as a page to explore, and step by step."""

from .draw import Drawing, draw
from .page import Page, explore
from .stepper import step

__all__ = ["Drawing", "Page", "draw", "explore", "step"]
