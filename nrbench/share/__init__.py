"""Sharing: rows as bundles, studies of several people as one, and boards as a site."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
