"""Weights that were trained elsewhere."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from nrbench import DataError, DataFile, Method, Step, Weights


class Trained(Method):
    """A network of one's own: nothing is trained, its weights are judged beside those of the other methods.

    The files hold the parameters and buffers of the suite's backbone by name, as `nrbench export` writes them.
    """

    name: Literal["trained"] = "trained"
    rampable: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    files: tuple[DataFile, ...] = Field(min_length=1)
    """Weights in the safetensors format, one file for each seed of the suite, relative to the suite's file."""

    @field_validator("files")
    @classmethod
    def _are_weights(cls, files: tuple[DataFile, ...]) -> tuple[DataFile, ...]:
        for file in files:
            try:
                weights = load(file.read())
                broken = [name for name, w in weights.items() if w.is_floating_point() and not w.isfinite().all()]
                if broken:
                    raise ValueError(f"{file.path}: {broken[0]} is not finite")
            except DataError:  # a lock that is read where the file is not: it was checked when it was locked
                continue
            except SafetensorError as error:
                raise ValueError(f"{file.path} holds no weights in the safetensors format: {error}") from None
        return files

    @property
    def seeds(self) -> int:
        return len(self.files)

    def planned_passes(self) -> float:
        return 0.0

    def given_weights(self, seed: int) -> Weights:
        return load(self.files[seed].read())

    def backward(self, step: Step) -> Tensor:
        raise TypeError("weights that were trained elsewhere are not trained")
