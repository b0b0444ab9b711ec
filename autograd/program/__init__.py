"""The derivative as a program: readable source, and compiled to run fast."""

from .compile import Compiled, RetracingWarning, compile
from .source import Source, source
from .trace import TracingWarning

__all__ = ["Compiled", "RetracingWarning", "Source", "TracingWarning", "compile", "source"]
