from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import Tensor

from nrbench import DataError, NoiseModel, Scale
from nrbench.base.chance import EvaluationChance
from nrbench.testing.samples import layer_weights
from nrbench_noise import DeviceProfile, Gaussian, Laplace, NoNoise

DRAWS = 400
WEIGHTS = {
    "conv.weight": torch.randn(4, 8, 5, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 1, 2, 5]).view(4, 1, 1, 1),
    "conv.bias": torch.tensor([0.0, 1.0, 2.0, 3.0]),
    "norm.weight": torch.ones(4),
}  # fmt: skip


def chips(count: int = DRAWS) -> list[EvaluationChance]:
    return [EvaluationChance("backbone", 0, "report", draw) for draw in range(count)]


def displacement(
    noise: NoiseModel, chance: EvaluationChance, weights: dict[str, Tensor] = WEIGHTS
) -> dict[str, Tensor]:
    return dict(noise.displacement(layer_weights(weights), chance=chance))


def by_filter(noise: NoiseModel) -> Tensor:
    """All errors of each filter over all draws: (filters, values)."""
    return torch.stack([displacement(noise, chance)["conv.weight"] for chance in chips()], 1).flatten(1).double()


UNIT = WEIGHTS["conv.weight"].abs().flatten(1).amax(1).double()


@pytest.mark.parametrize(
    ("noise", "std", "distribution"),
    [
        (Gaussian(sigma=0.05), 0.05 * UNIT, "norm"),
        (Gaussian(sigma=0.05, scale=Scale(power=0.5)), 0.05 * UNIT.sqrt(), "norm"),
        (Gaussian(sigma=0.05, scale=Scale(by="layer")), 0.05 * UNIT.max().expand(4), "norm"),
        (Laplace(b=0.03), 2**0.5 * 0.03 * UNIT, "laplace"),
    ],
    ids=["gaussian", "gaussian, power 0.5", "gaussian, by layer", "laplace"],
)
def test_the_error_has_the_closed_form_of_its_distribution(noise: NoiseModel, std: Tensor, distribution: str) -> None:
    """Per filter the mean is 0, the standard deviation the closed form, and the shape passes a Kolmogorov–Smirnov test."""
    errors = by_filter(noise)
    assert torch.allclose(errors.std(1), std, rtol=0.02)
    assert (errors.mean(1).abs() < 4 * std / errors.shape[1] ** 0.5).all()
    scale = std / (2**0.5 if distribution == "laplace" else 1)
    for values, unit in zip(errors, scale, strict=True):
        assert stats.kstest(values[:5000].numpy() / unit.item(), distribution).pvalue > 0.001


def test_laplace_is_never_infinite() -> None:
    """A uniform of exactly 0 or nearly 1 gives a far but finite error."""

    class Extreme(EvaluationChance):
        def uniform(self, parameter: str, shape: object, *, field: str = "") -> Tensor:
            return torch.tensor([[0.0, 1 - 2**-24, 0.5]])

    chance = Extreme("backbone", 0, "report", 0)
    (delta,) = displacement(Laplace(b=1.0), chance, {"w": torch.ones(1, 3)}).values()
    assert delta.isfinite().all()
    assert delta[0, 2] == 0
    assert delta[0, 0] < -15
    assert delta[0, 1] > 15


@pytest.mark.parametrize(
    ("tensors", "names"),
    [
        ("matrix", ["conv.weight"]),
        ("matrix_and_bias", ["conv.weight", "conv.bias"]),
        ("all", ["conv.weight", "conv.bias", "norm.weight"]),
    ],
)
@pytest.mark.parametrize("model", [Gaussian, Laplace])
def test_the_scope_decides_which_tensors_are_noisy(
    model: type[Gaussian | Laplace], tensors: str, names: list[str]
) -> None:
    """Only the tensors that are stored on the device get an error, a zero bias beside a matrix too."""
    noise = model(scale=Scale.model_validate({"tensors": tensors}))
    delta = displacement(noise, chips(1)[0])
    assert list(delta) == names
    assert all((error != 0).all() for error in delta.values())


@pytest.mark.parametrize("noise", [Gaussian(), Laplace(), DeviceProfile(table=[{"magnitude": 0, "std": 0.1}])])  # type: ignore[arg-type]
def test_rescaled_weights_have_rescaled_errors(noise: NoiseModel) -> None:
    """Multiplying all weights by 2 multiplies every error by 2: rescaling cannot hide the noise."""
    doubled = {name: 2 * weight for name, weight in WEIGHTS.items()}
    first, second = (displacement(noise, chips(1)[0], weights)["conv.weight"] for weights in (WEIGHTS, doubled))
    assert torch.allclose(second, 2 * first, rtol=1e-5, atol=1e-6)


def test_strengths_share_their_draws() -> None:
    """Two strengths of a model on one chip differ by their ratio alone."""
    chance = chips(1)[0]
    weak, strong = (displacement(Gaussian(sigma=sigma), chance.anew())["conv.weight"] for sigma in (0.1, 0.2))
    assert torch.allclose(strong, 2 * weak)


def test_no_noise_displaces_nothing() -> None:
    """The clean column is the weights themselves."""
    assert displacement(NoNoise(), chips(1)[0]) == {}


POINTS = [
    {"magnitude": 0.0, "mean": 0.02, "std": 0.01},
    {"magnitude": 0.5, "mean": 0.0, "std": 0.04},
    {"magnitude": 1.0, "mean": -0.1, "std": 0.02},
]
AT = torch.tensor([0.0, 0.25, -0.5, 0.75, -1.0])


def read(profile: DeviceProfile, draws: int = 4000) -> Tensor:
    """What weights at five magnitudes read, in many draws: (draws, 5)."""
    weights = {"w": AT.view(1, 5) * 4}
    return (
        torch.stack([displacement(profile, chance, weights)["w"] + weights["w"] for chance in chips(draws)])[:, 0] / 4
    )


def test_a_device_profile_interpolates_mean_and_std() -> None:
    """The mean error is away from zero and, like the standard deviation, linear between the points of the table."""
    values = read(DeviceProfile.model_validate({"table": POINTS})).double()
    means = torch.tensor([0.02, 0.25 + 0.01, -0.5, 0.75 - 0.05, -1 + 0.1], dtype=torch.float64)
    stds = torch.tensor([0.01, 0.025, 0.04, 0.03, 0.02], dtype=torch.float64)
    assert torch.allclose(values.mean(0), means, atol=0.003)
    assert torch.allclose(values.std(0), stds, rtol=0.05)


def test_levels_are_equally_spaced_magnitudes() -> None:
    """With 3 levels and no error a weight reads the nearest of 0, ½ and 1 of the filter's largest."""
    profile = DeviceProfile.model_validate({"table": [{"magnitude": 0, "std": 0.0}], "levels": 3})
    assert read(profile, draws=1)[0].tolist() == [0.0, 0.0, -0.5, 1.0, -1.0]  # ¼ and ¾ are ties, rounded to even


def test_stuck_cells_have_their_probabilities_and_nest() -> None:
    """Stuck cells read 0 or full scale at their rates, and the cells stuck at a low rate are stuck at a higher one."""
    exact = [{"magnitude": 0, "std": 0.0}]
    few, many = (
        read(DeviceProfile.model_validate({"table": exact, "stuck_off": off, "stuck_on": on}))
        for off, on in ((0.05, 0.02), (0.1, 0.04))
    )
    for values, off, on in ((few, 0.05, 0.02), (many, 0.1, 0.04)):
        assert (values[:, 1] == 0).double().mean() == pytest.approx(off, abs=0.02)
        assert (values[:, 1] == 1).double().mean() == pytest.approx(on, abs=0.01)
    assert ((few == AT) | (few == many)).all()


def test_a_profile_reads_a_csv_file(tmp_path: Path) -> None:
    """The same table from a file gives the same device, and its comments are passed over."""
    path = tmp_path / "device.csv"
    rows = "\n".join(f"{p['magnitude']}, {p['mean']}, {p['std']}" for p in POINTS)
    path.write_text(f"\ufeff# a device\nmagnitude, mean, std\n{rows}\n")
    written = DeviceProfile.model_validate({"table": str(tmp_path / "device.csv")})
    assert written.points == DeviceProfile.model_validate({"table": POINTS}).points
    path.write_text("magnitude, mean, std\n0, 0, 0\n")
    with pytest.raises(DataError, match="changed"):
        _ = DeviceProfile.model_validate(written.model_dump()).points


@pytest.mark.parametrize("table", [3, None, "", {"path": 1}, [{"magnitude": 0}], [{"magnitude": 0, "std": 1, "x": 2}]])
def test_what_is_no_table_is_a_validation_error(table: object) -> None:
    """Whatever stands in the place of the table, it is refused in words."""
    with pytest.raises(ValidationError):
        DeviceProfile.model_validate({"table": table})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# note\nmagnitude,mean,std\n0,0,x\n", "line 3: std: Input should be a valid number"),
        ("magnitude,mean,std\n0,0,-1\n", "line 2: std: Input should be greater"),
        ("magnitude,mean,std\n", "it has 0 lines of numbers"),
        ("", "first line should be magnitude,mean,std, not nothing"),
        ("magnitude,mean,std\n0.5,0,0\n0.5,0,0\n", "must increase"),
        ("magnitude,mean\n0,0\n", "first line should be magnitude,mean,std, not magnitude,mean"),
        ("0,0,0\n", "first line should be"),
        ("magnitude;mean;std\n0;0;0\n", "first line should be"),
        ("magnitude,mean,std,more\n0,0,0,0\n", "first line should be"),
        ("magnitude,mean,std\n0,0,0,\n", "line 2 has 4 values, not 3"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """A file that is no table of increasing magnitudes is an error when the suite is read."""
    (tmp_path / "device.csv").write_text(content)
    with pytest.raises(ValidationError, match=message):
        DeviceProfile.model_validate({"table": str(tmp_path / "device.csv")})


def test_probabilities_that_exceed_1_are_refused() -> None:
    """A cell cannot be stuck off and stuck on."""
    with pytest.raises(ValidationError, match="exceed 1"):
        DeviceProfile.model_validate({"table": POINTS, "stuck_off": 0.6, "stuck_on": 0.6})
