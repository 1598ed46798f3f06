"""Write suites/README.md, the reference of every field of a suite, from the models themselves.

    python scripts/make_field_reference.py [--check]

With --check nothing is written, and the exit code is 1 when the file is not what it would be.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from nrbench.families.registry import load_registry
from nrbench.families.row import RowFilter
from nrbench.families.scale import Scale
from nrbench.suite.cell import Evaluation
from nrbench.suite.describe import described, model_description
from nrbench.suite.recipe import Recipe
from nrbench.suite.reference import Reference
from nrbench.suite.suite import Report, Suite
from nrbench.suite.table import Axis, Pivot

TARGET = Path(__file__).parent.parent / "suites" / "README.md"

INTRODUCTION = """\
# Suites

A suite is a YAML file that says what to compare; `nrbench validate FILE` checks it and `nrbench run FILE` runs it. The
suites in this directory come with the package and are found by name: `nrbench run quickstart`. This page is made from
the code by `scripts/make_field_reference.py`; `nrbench schema` prints the same as a JSON Schema for editors.

## How a suite is written

- Sections such as `methods` map *labels* to *components*. A component is a map with a `name` and its parameters; `nrbench
  show NAME` describes it. Labels are what the leaderboard shows and are part of no key: renaming a row costs nothing.
- `{sweep: [a, b]}` in the place of a value makes a row for each; the label says which by `{field}`, or `{outer.field}`
  for a component inside another. Several sweeps make their product. In the place of a whole component,
  `{sweep: [{name: …}, {name: …}]}` varies several fields together.
- `include: [a.yaml, b.yaml]` makes a *collection*: one leaderboard for several suites, in which what they share is computed
  once. `name`, `description`, `tables`, `claims` and `reference` are the collection's own; every other section, and `--set`,
  is laid over each suite. Seeds, draws and selections have to agree, and a label means the same in all of them. A collection
  of collections keeps their tables and claims.
- `extends: other.yaml` lays the file over another one: maps merge by key, a map whose `name` changes replaces the old one
  whole, lists and sweeps replace, `null` deletes. `--set path=value` does the same from the command line.
- Within a file, `&name` and `*name` repeat a value, and `<<: *name` lays a map's keys beneath those that are written.
- Paths are relative to the file that they stand in.

| suite | is |
|---|---|
| `quickstart` | two small networks on real images, in two minutes |
| `devices` | published devices as noise, in evaluation and in training |
| `paper` | the nine tables and the claims of the paper, at full size: for a GPU |
| `paper/table-1` … `paper/table-9` | each table by itself |
| `paper-honest` | the same with epoch and strength chosen on validation |
| `paper/calibration` | one SGD network under every reading of the paper's noise law |
| `paper/extended` | what the paper's grids leave open |
| `paper/figures` | its twelve figures, and the claims about what happens during training |
| `paper-mini` | the study at a size that two cores finish in an hour |
| `paper-mini-dynamics` | figures and claims about training at that size |
| `norms` | what BatchNorm has to do with it: batch, group and no normalisation |
| `methods` | every method of the literature at equal epochs and at equal passes: six hours on two cores |
| `methods/cost` | every method at one strength, for `nrbench bench` |
"""


PARTS: Sequence[tuple[str, type[BaseModel]]] = (
    ("A suite", Suite),
    ("`recipe`", Recipe),
    ("`evaluation`", Evaluation),
    ("`report`", Report),
    ("`tables`, a list of", Pivot),
    ("`tables.rows` and `tables.columns`, lists of", Axis),
    ("Rows, in tables and claims", RowFilter),
    ("`reference`", Reference),
    ("`scale`, in noise models", Scale),
)


def page() -> str:
    """Return the whole page."""
    sections = [INTRODUCTION.rstrip()]
    sections += [model_description(model).as_markdown(f"## {title}") for title, model in PARTS]
    registry = load_registry()
    for kind in (kind for kind in registry.families if kind != "executors"):  # no suite names one
        sections.append(f"## Components: {kind}")
        ours = [entry for entry in registry.of_kind(kind) if entry.plugin.distribution == "nrbench"]
        sections += [described(entry).as_markdown(f"### `{entry.name}`") for entry in ours]
    return "\n\n".join(sections) + "\n"


def main() -> int:
    """Write the page, or say whether it is up to date."""
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(page())
    elif TARGET.read_text() != page():
        print(f"{TARGET} is not what the code says: run {Path(__file__).name}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
