"""Encoders: what the registry knows, how weights are checked, how crops become vectors.

This file imports nothing heavy, so that the command line can state its default without loading torch; take
`load_encoder` from `ferkit.encoders.encoder` and `load_registry` from `ferkit.encoders.registry`.
"""

__all__ = ["DEFAULT_ENCODER"]

DEFAULT_ENCODER = "votes-r18"
"""The name in models.yaml that every command uses when none is given."""
