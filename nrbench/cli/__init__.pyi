"""What the command line uses, imported when it is first used."""

from .progress import Watch as Watch
from .progress import log_to as log_to

__all__: list[str]
