"""nrbench: a benchmark of training methods for neural networks whose weights get corrupted.

Everything a plugin or a script may use is here by name; `__init__.pyi` says where each name comes from. Names are imported
when they are first used, so that `import nrbench` and `nrbench --help` do not wait for torch.
"""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("nrbench")
