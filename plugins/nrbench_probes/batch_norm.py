"""What of the accuracy that noise costs is BatchNorm's statistics, and what is the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from nrbench import Chips, NamedSplits, Network, NoiseModel
from nrbench_probes.images import ImageProbe


class BatchNormShift(ImageProbe):
    """Accuracy under noise with BatchNorm's statistics as trained and estimated anew, and how far they have moved.

    `lost` is what noise costs in points, `given_back` what of that returns with new statistics, `left` what does not. The
    shift of a layer is that of its channels' means in units of their running standard deviation, and of the logarithm of
    their variance, both as a root mean square over channels; of a network without BatchNorm there is none.
    """

    name: Literal["batch_norm_shift"] = "batch_norm_shift"

    on: Literal["train", "validation", "test"] = "test"
    """The images that accuracy is measured on."""
    noise: NoiseModel
    """What the weights meet."""
    draws: int = Field(default=3, ge=1)
    """Noisy copies."""
    calibration: int = Field(default=1024, ge=1)
    """Training images that the statistics are estimated on, without their labels."""
    layers: bool = False
    """Whether the shift of each layer is told, and not their mean alone."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 1 + 2 * self.draws) + self.draws * min(self.calibration, images["train"]) / 3

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images, calibration = self.part(data), data["train"][: self.calibration]
        sums: dict[str, float] = {}
        for draw in range(self.draws):
            noisy = network.under(self.noise, chips.chip("probe", draw))
            anew = noisy.recalibrated(calibration)
            counts = {"frozen": noisy.counts(images), "recalibrated": anew.counts(images)}
            found = {name: 100 * count / len(images) for name, count in counts.items()}
            for name, value in {**found, **self._shifts(network, anew)}.items():
                sums[name] = sums.get(name, 0.0) + value
        means = {name: total / self.draws for name, total in sums.items()}
        clean = 100 * network.counts(images) / len(images)
        means |= {
            "lost": clean - means["frozen"],
            "given_back": means["recalibrated"] - means["frozen"],
            "left": clean - means["recalibrated"],
        }
        return means

    def _shifts(self, network: Network, anew: Network) -> dict[str, float]:
        """Return the shift of means and of variances, as a mean over layers and, if asked for, of each."""
        layers = {
            name: module
            for name, module in network.model.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None
        }
        buffers = anew.buffers()
        shifts = {name: _shift(module, name, buffers) for name, module in layers.items()}
        if not shifts:
            return {}
        found = {
            f"{kind}_shift": sum(shift[number] for shift in shifts.values()) / len(shifts)
            for number, kind in enumerate(("mean", "variance"))
        }
        for name, (mean, variance) in shifts.items() if self.layers else ():
            found |= {f"{name}.mean_shift": mean, f"{name}.variance_shift": variance}
        return found


def _shift(module: nn.modules.batchnorm._BatchNorm, name: str, buffers: Mapping[str, Tensor]) -> tuple[float, float]:
    assert module.running_mean is not None
    assert module.running_var is not None
    variance = module.running_var.double() + module.eps
    mean = (buffers[f"{name}.running_mean"].double() - module.running_mean.double()) / variance.sqrt()
    ratio = ((buffers[f"{name}.running_var"].double() + module.eps) / variance).log()
    return float(mean.square().mean().sqrt()), float(ratio.square().mean().sqrt())
