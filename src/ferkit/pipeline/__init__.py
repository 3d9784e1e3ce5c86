"""From sources to vectors: decoded pictures, aligned and measured faces, embeddings, resumed where they stopped.

This file imports nothing, so that the command line can state a default without loading what the pipeline needs.
"""

__all__ = ["FACES"]

FACES = "faces"
"""Folder that `align` writes, and that `embed` and `pretrain` read, where none is named."""
