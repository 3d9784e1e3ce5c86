"""Search: the nearest vectors by cosine."""
