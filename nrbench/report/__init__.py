"""Everything a reader sees of a leaderboard: tables, figures and files in every format."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
