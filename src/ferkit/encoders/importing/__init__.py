"""Weights that others published, brought to the names of timm's networks: a table of origins, and the way there.

Nothing is imported here, so that the command line can list `ferkit.encoders.importing.origins` without loading torch.
"""
