"""Weights that were trained elsewhere."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from nrbench import DataFile, Method, Step, Weights


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
            file.check_content(_check_weights)
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


def _check_weights(content: bytes) -> None:
    try:
        weights = load(content)
    except SafetensorError as error:
        raise ValueError(f"it holds no weights in the safetensors format: {error}") from None
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ValueError(f"{name} is not finite")
