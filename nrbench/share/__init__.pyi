"""What the command line uses, imported when it is first used."""

from .merge import merged as merged
from .site import write_site as write_site
from .study import Study as Study
from .study import board_of as board_of
from .study import opened as opened
from .study import row_of as row_of
from .submit import submit as submit

__all__: list[str]
