"""The derivative as a program: readable source written from what was recorded."""

from .source import source

__all__ = ["source"]
