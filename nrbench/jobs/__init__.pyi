"""What the command line uses, imported when it is first used."""

from .bench import benched as benched
from .device import find_device as find_device
from .device import gpu_workers as gpu_workers
from .doctor import examined as examined
from .expected import expected_time as expected_time
from .export import exported as exported
from .plan import LOCK as LOCK
from .plan import LOG as LOG
from .plan import Options as Options
from .plan import plan as plan
from .status import status as status
from .store import Store as Store
from .verify import verified as verified

__all__: list[str]
