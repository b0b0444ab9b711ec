"""The derivative as a program: readable source written from what was recorded."""

source = None

__all__ = ["source"]
