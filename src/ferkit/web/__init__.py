"""The page: routes, templates and scripts of ``ferkit serve``."""
