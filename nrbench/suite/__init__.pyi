"""What the command line uses, imported when it is first used."""

from .describe import described as described
from .describe import listed as listed
from .facts import facts as facts
from .locked import locked_suite as locked_suite
from .read import load_suite as load_suite
from .read import read_component as read_component
from .read import written_component as written_component
from .schema import component_schema as component_schema
from .schema import suite_schema as suite_schema
from .shipped import find_suite as find_suite
from .yaml import parse as parse

__all__: list[str]
