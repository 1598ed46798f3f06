"""Weights that were trained elsewhere."""

import shlex
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
            file.check_content(partial(check_weights, path=file.path))
        return files

    @model_validator(mode="after")
    def _is_a_normalisation(self) -> Self:
        if bool(self.mean) != bool(self.std):
            raise ValueError("mean and std belong together")
        black, white = self.input_range
        if black >= white:
            raise ValueError("input_range goes from black to white")
        if beyond := [mean for mean in self.mean if not black <= mean <= white]:
            raise ValueError(
                f"no mean of images that go from {black:g} to {white:g} is {beyond[0]:g}; say input_range, such as [0, 255]"
            )
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
    "import torch, safetensors.torch as s; w = torch.load({file}, map_location='cpu', weights_only=True); "
    "w = max([w, *(v for v in w.values() if isinstance(v, dict))], key=lambda d: sum(map(torch.is_tensor, d.values()))); "
    "s.save_file({{k: v.clone().contiguous() for k, v in w.items() if torch.is_tensor(v)}}, {name})"
)
"""What makes a file of weights out of one that torch.save wrote: of the dictionaries in it, that with the most tensors."""


def check_weights(content: bytes, path: str = "weights.pt") -> None:
    """Raise `ValueError` for what is no file of weights, with how to make one of it where that is known."""
    if content.startswith(b"PK\x03\x04") and b".npy" in content[:200]:
        raise ValueError("it is a NumPy archive; write its arrays with safetensors.numpy.save_file")
    if content.startswith(b"PK\x03\x04") or (
        content[:1] == b"\x80" and content[1:2] <= b"\x05" and content[2:3] != b"\0"
    ):
        target = f"{path.rpartition('.')[0] or path}.safetensors"
        line = CONVERSION.format(file=repr(path), name=repr(target))
        line = shlex.quote(line) if set(path) & set("\"'$`\\") else f'"{line}"'
        raise ValueError(
            f"torch.save or pickle wrote it, which can run anything when it is read; convert it with python -c {line}"
        )
    try:
        weights = load(content)
    except SafetensorError as error:
        raise ValueError(f"it holds no weights in the safetensors format: {error}") from None
    for name, weight in weights.items():
        if weight.element_size() == 1 and weight.is_floating_point():
            raise ValueError(f"{name} is {weight.dtype}: without the scale that belongs to it nobody knows its weights")
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ValueError(f"{name} is not finite")
