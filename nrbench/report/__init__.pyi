"""What the command line uses, imported when it is first used."""

from .cost import costs as costs
from .forecast import forecast as forecast
from .runner import run as run
from .terminal import plain_table as plain_table
from .terminal import print_leaderboard as print_leaderboard
from .write import write_reports as write_reports

__all__: list[str]
