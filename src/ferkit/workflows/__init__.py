"""One file a verb, readable top to bottom; the Python API.

This file imports nothing, so that the command line can state a default without loading what the workflows need.
"""

__all__ = ["PARTS"]

PARTS = {"train": 0.8, "valid": 0.1, "test": 0.1}
"""Parts that a face set is split into, and their shares, where none are named."""
