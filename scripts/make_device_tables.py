"""Make the two worked example tables in suites/devices from published coefficients.

    python scripts/make_device_tables.py

A weight of magnitude a is stored by two devices as (g+ - g-) / g_max with targets a · g_max and 0, and a conductance is
never negative. The moments of a normal variable cut at 0 are exact (Johnson, Kotz & Balakrishnan 1994, section 10.1).
"""

from collections.abc import Callable
from pathlib import Path

from scipy.stats import norm

FOLDER = Path(__file__).parent.parent / "suites" / "devices"
Spread = Callable[[float], float]


def cut_at_zero(mean: float, std: float) -> tuple[float, float]:
    """Return mean and variance of max(0, X) for a normal X."""
    z = mean / std
    first = mean * norm.cdf(z) + std * norm.pdf(z)
    second = (mean**2 + std**2) * norm.cdf(z) + mean * std * norm.pdf(z)
    return first, second - first**2


def table(spread: Spread, comment: str, points: int = 21) -> str:
    """Return a CSV table of the mean error and its standard deviation at equally spaced magnitudes."""
    zero_mean, zero_variance = cut_at_zero(0, spread(0))
    lines = [*(f"# {line}" for line in comment.splitlines()), "magnitude,mean,std"]
    for index in range(points):
        magnitude = index / (points - 1)
        mean, variance = cut_at_zero(magnitude, spread(magnitude))
        error = mean - zero_mean - magnitude
        lines.append(f"{magnitude:g},{error + 0.0:.6f},{(variance + zero_variance) ** 0.5:.6f}")
    return "\n".join(lines) + "\n"


def pcm(x: float) -> float:
    """Programming noise of phase-change memory over g_max = 25 µS (Nandakumar et al. 2019; aihwkit's PCM model)."""
    return (0.26348 + 1.9650 * x - 1.1731 * x**2) / 25


def reram(x: float) -> float:
    """Deviation of HfOx ReRAM one day after programming over g_max = 40 µS (Wan et al. 2022; aihwkit's fit)."""
    return (0.701 + 22.086 * x - 50.773 * x**2 + 47.095 * x**3 - 16.458 * x**4) / 40


def main() -> None:
    """Write both tables."""
    pair = "Differential pair of devices; errors of the stored weight in units of its filter's largest weight.\n"
    made = "Made by scripts/make_device_tables.py."
    first = "Phase-change memory just after programming: Nandakumar et al. 2019, coefficients as in IBM's aihwkit.\n"
    second = "HfOx ReRAM one day after programming: Wan et al. 2022, polynomial fit as in IBM's aihwkit, g_max 40 uS.\n"
    (FOLDER / "pcm.csv").write_text(table(pcm, first + pair + made))
    (FOLDER / "reram_one_day.csv").write_text(table(reram, second + pair + made))


if __name__ == "__main__":
    main()
