"""Weights that were trained elsewhere."""

from functools import partial
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from nrbench import ADDED_LATER, NOT_IN_KEY, DataFile, Method, Step, Weights


class Trained(Method):
    """A network of one's own: nothing is trained, its weights are judged beside those of the other methods.

    The files hold the parameters and buffers of the suite's backbone by name, as `nrbench export` writes them.
    """

    name: Literal["trained"] = "trained"
    rampable: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    files: tuple[DataFile, ...] = Field(min_length=1)
    """Weights in the safetensors format, one file for each seed of the suite, relative to the suite's file."""
    mean: Annotated[tuple[float, ...], ADDED_LATER] = ()
    """The mean of each colour, or of all, that was subtracted from the images in training; by default the data set's."""
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], ADDED_LATER] = ()
    """The standard deviation of each colour, or of all, that they were divided by."""
    input_range: Annotated[tuple[float, float], ADDED_LATER] = (0.0, 1.0)
    """What black and white were before that: 0 and 1 as in most libraries, 0 and 255, or -1 and 1."""
    expect: Annotated[float | None, Field(ge=0, le=100), NOT_IN_KEY] = None
    """The clean accuracy that you measured, in %; a difference beyond its binomial error is flagged. It is in no key."""

    @field_validator("files")
    @classmethod
    def _are_weights(cls, files: tuple[DataFile, ...]) -> tuple[DataFile, ...]:
        for file in files:
            file.check_content(partial(_check_weights, path=file.path))
        return files

    @model_validator(mode="after")
    def _is_a_normalisation(self) -> Self:
        if bool(self.mean) != bool(self.std):
            raise ValueError("mean and std belong together")
        if self.input_range[0] >= self.input_range[1]:
            raise ValueError("input_range goes from black to white")
        return self

    @property
    def input_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        black, white = self.input_range
        if not self.mean:
            return None if self.input_range == (0.0, 1.0) else ((-black / (white - black),), (1 / (white - black),))
        return (
            tuple((mean - black) / (white - black) for mean in self.mean),
            tuple(std / (white - black) for std in self.std),
        )

    @property
    def expected(self) -> float | None:
        return self.expect

    @property
    def seeds(self) -> int:
        return len(self.files)

    def planned_passes(self) -> float:
        return 0.0

    def given_weights(self, seed: int) -> Weights:
        return load(self.files[seed].read())

    def backward(self, step: Step) -> Tensor:
        raise TypeError("weights that were trained elsewhere are not trained")


CONVERSION = (
    "import torch, safetensors.torch as s; w = torch.load('{file}', map_location='cpu', weights_only=True); "
    "w = w.get('state_dict', w.get('model', w)); "
    "s.save_file({{k: v.clone().contiguous() for k, v in w.items() if torch.is_tensor(v)}}, '{name}.safetensors')"
)
"""What makes a file of weights out of one that torch.save wrote."""


def _check_weights(content: bytes, path: str = "weights.pt") -> None:
    if content.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04")):
        line = CONVERSION.format(file=path, name=path.rpartition(".")[0] or path)
        raise ValueError(
            f'torch.save wrote it, which can run anything when it is read; convert it with python -c "{line}"'
        )
    try:
        weights = load(content)
    except SafetensorError as error:
        raise ValueError(f"it holds no weights in the safetensors format: {error}") from None
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ValueError(f"{name} is not finite")
