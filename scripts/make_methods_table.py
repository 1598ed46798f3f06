"""Write docs/methods.md, the table of all methods, from their classes and from what they are measured to do.

    python scripts/make_methods_table.py [--check]

With --check nothing is written, and the exit code is 1 when the file differs in more than the sizes of rounding errors.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from nrbench import Method, State  # noqa: E402
from nrbench.testing.samples import trained  # noqa: E402
from nrbench_methods import GSAM, METHODS, SAM, Averaged, Clipped, EntropySGD, NoiseInjection, Ramped, Trained  # noqa: E402
from tests.plugins.test_method_oracles import CASES, largest_difference  # noqa: E402
from tests.plugins.test_methods_related import EVERY  # noqa: E402

TARGET = ROOT / "docs" / "methods.md"
AROUND = (Ramped, Averaged, Clipped)
INTRODUCTION = """\
# Methods

What comes with nrbench; made from the classes by `scripts/make_methods_table.py`. `nrbench show NAME` describes one with all
of its fields, [write a method](write-a-method.md) shows how another is written, and
[the board of all of them](results/methods/README.md) how they do under weight noise, at equal epochs and at equal passes.

- *Passes* are forward and backward over a batch, for each step, as planned; what was made is on every board, where a row that
  differs by more than 2 % says so. A forward pass alone is a third of one. `recipe: {budget: passes}` trains every method for
  as many epochs as its passes allow. A batch in parts needs a third more where there is BatchNorm.
- *State* is what the method remembers from step to step, in sizes of the model, as measured; momentum is another 1.
- *Compared with* says what the method is held against, and the largest difference of a weight after eight steps in float64
  with momentum and weight decay, with and without BatchNorm: *written out* is a loop over one long vector of weights in plain
  torch that follows the paper's order of operations (`tests/plugins/method_oracles.py`).
- At strength 0 a method that can be `ramped` is SGD bit for bit in one pass; `bsam`, `entropy_sgd`, `noisy_machines` and
  `trained` cannot.

"""


def main() -> int:
    """Write or check the file."""
    text = INTRODUCTION + "\n".join(_table()) + "\n"
    if "--check" in sys.argv:
        if _without_sizes(TARGET.read_text(encoding="utf-8")) != _without_sizes(text):
            print(f"{TARGET} is not what its classes say: run python {sys.argv[0]}")
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


def _without_sizes(text: str) -> str:
    return re.sub(r"\de[-−]\d+", "", text)


def _table() -> Iterator[str]:
    yield "| method | paper | at a step | fields | passes | state | compared with |"
    yield "|:--|:--|:--|:--|--:|--:|:--|"
    for kind in METHODS:
        assert issubclass(kind, Method)
        own = [n for n in kind.model_fields if n not in ("name", "optimizer", *(() if kind in AROUND else ("method",)))]
        default = _made(kind)
        fields = ", ".join(f"`{name}`{_default(kind, name)}" for name in own)
        step = (kind.__doc__ or "").partition("\n")[0]
        paper = getattr(kind, "paper", "").partition("(eq")[0].partition("(alg")[0].strip()
        passes = "that of the method" if kind in AROUND else f"{default.planned_passes():.2f}".rstrip("0").rstrip(".")
        yield f"| `{default.name}` | {paper} | {step} | {fields} | {passes} | {_state(default)} | {_compared(kind)} |"


def _made(kind: type[Method]) -> Method:
    found = next((m for m in EVERY.values() if type(m) is kind), None)
    if kind is NoiseInjection or kind is Trained or (found is None and kind in AROUND):
        return kind.model_construct()
    return found if kind in AROUND and found is not None else kind()


def _default(kind: type[Method], name: str) -> str:
    info = kind.model_fields[name]
    if info.is_required() or not isinstance(info.default, int | float | str) or isinstance(info.default, bool):
        return ""
    return f" {info.default:g}" if isinstance(info.default, int | float) else f" {info.default}"


def _state(method: Method) -> str:
    if isinstance(method, Ramped | Clipped | Averaged):
        return f"{'1 and ' if isinstance(method, Averaged) else ''}that of the method"
    if isinstance(method, Trained | NoiseInjection):  # which have no defaults
        return "0"
    *_, last = trained(method.replace(steps=2) if isinstance(method, EntropySGD) else method)  # of few steps
    kept = [value for value in State(last.state.everything()).values() if isinstance(value, Tensor)]
    size = sum(p.numel() for p in last.model.parameters())
    return f"{sum(value.numel() for value in kept) / size:.1f}".removesuffix(".0")


def _compared(kind: type[Method]) -> str:
    cases = [case for case, (method, _) in CASES.items() if type(method) is kind]
    if cases:
        largest = max(largest_difference(case, norm=norm) for case in cases for norm in (False, True))
        return f"written out: {largest:.0e}" + (", and pytorch_optimizer" if kind in (SAM, GSAM) else "")
    return {
        "SGD": "its gradient on ½wᵀAw",
        "RWP": "moments on ½wᵀAw; `lpf_sgd` in other units",
        "Ramped": "half of the strength half way, bit for bit",
        "NoiseInjection": "`rwp` in other units",
        "Averaged": "means of the weights, written out",
        "Clipped": "`hardware_aware`, bit for bit",
        "SSSAM": "`sam` at p = 1 and `sgd` at p = 0, bit for bit",
        "Trained": "the weights that were given",
    }[kind.__name__]


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
