"""What the command line uses, imported when it is first used."""

from .forecast import forecast as forecast
from .landscape import judged_cells as judged_cells
from .landscape import landscape_of as landscape_of
from .page import Page as Page
from .runner import run_to_page as run_to_page
from .runner import write_lock as write_lock
from .terminal import print_page as print_page
from .terminal import print_table as print_table
from .write import write_reports as write_reports

__all__: list[str]
