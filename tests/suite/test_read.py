from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nrbench import Registry, Suite, SuiteError, hookimpl, load_registry, load_suite
from nrbench.base.errors import UsageError
from nrbench.suite.cell import Cell
from nrbench.suite.locked import locked_suite
from nrbench.suite.shipped import find_suite, shipped_suites
from nrbench_methods import SGD
from tests.conftest import TINY

Write = Callable[..., Path]


def problems(path: Path, registry: Registry, settings: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        load_suite(path, registry, settings=settings)
    return [str(problem).replace(str(path), path.name) for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert old in TINY
    return TINY.replace(old, new)


ERRORS = {
    "unknown name": (
        changed("{name: rwp, sigma: 0.1}", "{name: rwpp, sigma: 0.1}"),
        "suite.yaml:12:15: methods.RWP.name: no method named 'rwpp'; did you mean 'rwp'? (nrbench ls methods)",
    ),
    "wrong type": (
        changed("{name: rwp, sigma: 0.1}", "{name: rwp, sigma: high}"),
        "suite.yaml:12:27: methods.RWP.sigma: Input should be a valid number",
    ),
    "unknown key of a component": (
        changed("{name: rwp, sigma: 0.1}", "{name: rwp, sgma: 0.1}"),
        "suite.yaml:12:20: methods.RWP.sgma: there is no such field; did you mean 'sigma'?",
    ),
    "unknown key of a nested component": (
        changed(
            "{name: rwp, sigma: 0.1}", "{name: ramped, schedule: {name: linear, untl: 1}, method: {name: sam, rhoo: 1}}"
        ),
        "suite.yaml:12:48: methods.RWP.schedule.untl: there is no such field; did you mean 'until'?",
        "suite.yaml:12:78: methods.RWP.method.rhoo: there is no such field; did you mean 'rho'?",
    ),
    "unknown key of the recipe": (
        changed("epochs: 3", "epoch: 3"),
        "suite.yaml:6:10: recipe.epoch: there is no such field; did you mean 'epochs'?",
    ),
    "unknown key of the optimizer": (
        changed("lr: 0.05", "lrr: 0.05"),
        "suite.yaml:6:99: recipe.optimizer.lrr: there is no such field; did you mean 'lr'?",
    ),
    "unknown section": (TINY + "method: {}\n", "suite.yaml:16:1: method: there is no such field; did you mean 'methods'?"),
    "missing section": (changed("methods:\n  SGD: {name: sgd}\n", "methods: {}\nx:\n"), "methods", "there is no such field"),
    "required field": (
        changed("{name: rwp, sigma: 0.1}", "{name: noise_injection}"),
        "suite.yaml:12:8: methods.RWP.noise: it is required",
    ),
    "out of range": (
        changed("epochs: 3", "epochs: -1"),
        "suite.yaml:6:18: recipe.epochs: Input should be greater than or equal to 0",
    ),
    "duplicate key": (changed("  SGD: {name: sgd}", "  RWP: {name: sgd}"), "suite.yaml:12:3: methods.RWP: the key is given twice"),
    "empty sweep": (
        changed("{sweep: [0.1, 0.3]}", "{sweep: []}"),
        "suite.yaml:15:47: noise.Gaussian {sigma}.sigma: a sweep needs a list of values",
    ),
    "sweep that is no list": (changed("{sweep: [0.1, 0.3]}", "{sweep: 3}"), "suite.yaml:15:47: noise.Gaussian {sigma}.sigma"),
    "sweep not in the label": (
        changed('"Gaussian {sigma}"', '"Gaussian"'),
        "suite.yaml:15:3: noise.Gaussian: the label does not say the swept sigma: write 'Gaussian {sigma}', say",
    ),
    "sweep of a recipe": (changed("epochs: 3", "epochs: {sweep: [1, 2]}"), "sweeps are for components"),
    "field that the label invents": (
        changed("Gaussian {sigma}", "Gaussian {sigma} {rho}"),
        "{rho} names no field; there are name, sigma, scale",
    ),
    "label collision": (
        changed('"Gaussian {sigma}"', '"Gaussian 0.1": {name: none}\n  "Gaussian {sigma}"'),
        "suite.yaml:16:3: noise.Gaussian {sigma}: the label 'Gaussian 0.1' is taken; name in it what differs",
    ),
    "label that cannot be printed": (changed("  RWP:", '  "\\e[31m":'), "cannot be printed"),
    "component that is a word": (changed("{name: sgd}", "sgd"), "suite.yaml:11:8: methods.SGD: expected a mapping with a 'name'"),
    "component without a name": (changed("{name: none}", "{}"), "suite.yaml:14:10: noise.clean: expected a mapping"),
    "section that is a list": (changed("methods:\n  SGD: {name: sgd}\n  RWP: {name: rwp, sigma: 0.1}", "methods: [sgd]"), "methods: expected labels"),
    "name that is no path": (changed("name: tiny", "name: ../tiny"), "suite.yaml:1:7: name: expected lower-case letters"),
    "unknown baseline": (
        TINY + "report: {baseline: SDG}\n",
        "suite.yaml:16:20: report.baseline: no method is labelled 'SDG'; did you mean 'SGD'?",
    ),
    "validation without a held-out part": (
        changed("epochs: 3", "epochs: 3, held_out: 0"),
        "suite.yaml:8:11: selections.chosen.on: there is no validation set: recipe.held_out is 0",
    ),
    "missing file": (changed("{name: none}", "{name: device_profile, table: no.csv}"), "suite.yaml:14:40: noise.clean.table: cannot read"),
    "method that cannot be": (
        changed("{name: mlp, hidden: [16]}", "{name: wide_resnet, depth: 11}"),
        "suite.yaml:5:45: backbones.MLP.depth: depth must be 6n + 4, such as 10 or 16",
    ),
    "no treatment of BatchNorm": (TINY + "evaluation: {batch_norm: []}\n", "suite.yaml:16:26: evaluation.batch_norm"),
    "a number of seeds that nobody can wait for": (changed("seeds: 2", "seeds: 1000000"), "suite.yaml:2:8: seeds"),
    "a point that lacks a field": (
        changed("{name: none}", "{name: device_profile, table: [{magnitude: 0, sdt: 1}]}"),
        "suite.yaml:14:56: noise.clean.table.0.sdt: there is no such field; did you mean 'std'?",
        "noise.clean.table.0.std: it is required",
    ),
    "name that the store has": (changed("name: tiny", "name: store"), "suite.yaml:1:7: name: 'store' is the name of"),
    "empty value": (changed("  SGD: {name: sgd}", "  SGD:"), "suite.yaml:11:3: methods.SGD: expected a mapping"),
    "list where a number belongs": (
        changed("sigma: 0.1}", "sigma: [0.1, 0.2]}"),
        "methods.RWP.sigma: Input should be a valid number; for a row for each value write {sweep: [...]}",
    ),
    "sweep in a sweep that is no list": (
        changed("{sweep: [0.1, 0.3]}", "{sweep: [0.1, {sweep: 3}]}"),
        "noise.Gaussian {sigma}.sigma: a sweep needs a list",
    ),
    "optimizer of another name": (
        changed("optimizer: {name: sgd, lr: 0.05}", "optimizer: {name: adam}"),
        "recipe.optimizer.name: no optimizer named 'adam'; did you mean 'adamw'?",
    ),
    "optimizer without a name": (
        changed("optimizer: {name: sgd, lr: 0.05}", "optimizer: {lr: 0.1}"),
        "recipe.optimizer: expected a mapping with a 'name'",
    ),
    "label of a map": (changed("Gaussian {sigma}", "Gaussian {sigma} {scale}"), "{scale} is a map; name one of its fields: by, power"),
    "misspelt extends": ("extend: a.yaml\n", "suite.yaml:1:1: extend: there is no such field; did you mean 'extends'?"),
    "not a mapping": ("- 1\n", "suite.yaml:1:1: a suite is a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_each_mistake_is_named_at_its_place(case: tuple[str, ...], write_suite: Write, registry: Registry) -> None:
    """A mistake is a problem with file, line, column, path, what is wrong and, where one is near, what would be right."""
    text, *expected = case
    found = problems(write_suite(text), registry)
    for sentence in expected:
        assert any(sentence in problem for problem in found), found


def test_all_mistakes_are_told_at_once(write_suite: Write, registry: Registry) -> None:
    """Five mistakes in five sections are five problems, in the order of the text."""
    text = (
        TINY.replace("name: tiny", "name: Tiny")
        .replace("{name: mlp, hidden: [16]}", "{name: mlpp}")
        .replace("epochs: 3", "epochs: three")
        .replace("{name: rwp, sigma: 0.1}", "{name: rwp, sigma: -1}")
        .replace("{name: none}", "{name: none, x: 1}")
    )
    found = problems(write_suite(text), registry)
    assert [problem.split(":")[1] for problem in found] == ["1", "5", "6", "12", "14"]


def test_sweeps_become_rows_in_the_order_of_the_file(tiny: Suite) -> None:
    """A swept field makes a component and a label for each of its values."""
    assert list(tiny.noise) == ["clean", "Gaussian 0.1", "Gaussian 0.3"]
    assert [noise.model_dump().get("sigma") for noise in tiny.noise.values()] == [None, 0.1, 0.3]


def test_a_sweep_over_whole_components_correlates_their_fields(write_suite: Write, registry: Registry) -> None:
    """`sweep` in the place of a component takes whole components, told apart by any field in the label."""
    line = '  "SAM {rho}": {sweep: [{name: sam, rho: 0.1}, {name: sam, rho: 0.25}]}\n'
    suite = load_suite(write_suite(TINY.replace("  RWP:", line + "  RWP:")), registry)
    assert list(suite.methods) == ["SGD", "SAM 0.1", "SAM 0.25", "RWP"]


def test_a_suite_extends_another(write_suite: Write, registry: Registry) -> None:
    """The extending file wins, key by key, and an error points at the file that wrote the value."""
    write_suite(TINY, "base.yaml")
    path = write_suite("extends: base.yaml\nname: more\nmethods: {RWP: null, SAM: {name: sam}}\nrecipe: {epochs: 5}\n")
    suite = load_suite(path, registry)
    assert (suite.name, list(suite.methods), suite.recipe.epochs, suite.recipe.batch_size) == (
        "more",
        ["SGD", "SAM"],
        5,
        32,
    )
    write_suite(TINY.replace("sigma: 0.1}", "sigma: x}"), "base.yaml")
    path.write_text("extends: base.yaml\nrecipe: {epochs: y}\n")
    found = problems(path, registry)
    assert any("suite.yaml:2:18: recipe.epochs" in problem for problem in found)
    assert any("base.yaml:12:27: methods.RWP.sigma" in problem for problem in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: nowhere.yaml", "suite.yaml:1:10: extends: there is no file"),
        ("extends: suite.yaml", "leads back to this file"),
        ("extends: [a]", "expected the path"),
    ],
)
def test_extends_that_leads_nowhere(text: str, message: str, write_suite: Write, registry: Registry) -> None:
    """A missing base or a circle is an error at the word that names it."""
    assert message in problems(write_suite(text), registry)[0]


def test_a_path_is_relative_to_the_file_that_wrote_it(write_suite: Write, registry: Registry, tmp_path: Path) -> None:
    """A table named in an extended suite is found beside that suite, not beside the one that extends it."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "t.csv").write_text("magnitude,mean,std\n0,0,0.5\n")
    (tmp_path / "t.csv").write_text("magnitude,mean,std\n0,0,0.25\n")
    write_suite(TINY.replace("{name: none}", "{name: device_profile, table: t.csv}"), "sub/base.yaml")
    suite = load_suite(write_suite("extends: sub/base.yaml\n"), registry)
    assert suite.noise["clean"].points[0].std == 0.5  # type: ignore[attr-defined]
    own = "extends: sub/base.yaml\nnoise: {clean: {name: device_profile, table: t.csv}}\n"
    assert load_suite(write_suite(own), registry).noise["clean"].points[0].std == 0.25  # type: ignore[attr-defined]


def test_a_sweep_that_explodes_is_refused_at_once(write_suite: Write, registry: Registry) -> None:
    """Four sweeps of forty values are counted, not made."""
    forty = "{sweep: [" + ", ".join(map(str, range(40))) + "]}"
    line = (
        f"{{name: device_profile, levels: {forty}, stuck_on: {forty}, table: [{{magnitude: {forty}, std: {forty}}}]}}"
    )
    found = problems(write_suite(TINY.replace("clean: {name: none}", f"c: {line}")), registry)
    assert any("its sweeps make 2,560,000 rows" in problem for problem in found)


def test_deleting_what_is_not_there_is_an_error(write_suite: Write, registry: Registry) -> None:
    """A misspelt deletion is told, in a file and in a flag, with what was meant."""
    write_suite(TINY, "base.yaml")
    path = write_suite("extends: base.yaml\nmethods: {RPW: null}\n")
    assert (
        "suite.yaml:2:11: methods.RPW: there is nothing of that label to delete; did you mean 'RWP'?"
        in problems(path, registry)[0]
    )
    assert "nothing of that label" in problems(write_suite(TINY), registry, ("methods.RPW=null",))[0]


def test_a_shipped_suite_can_be_extended(write_suite: Write, registry: Registry) -> None:
    """`extends` takes the name of a suite that comes with nrbench; its files are found beside it."""
    suite = load_suite(write_suite("extends: devices\nname: mine\nseeds: 1\n"), registry)
    assert "PCM" in suite.noise
    assert suite.seeds == 1


def test_labels_show_names_and_not_insides(write_suite: Write, registry: Registry, tmp_path: Path) -> None:
    """A file is its stem, a component its name, a list its item; an integer has all its digits."""
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("magnitude,mean,std\n0,0,0.1\n")
    text = TINY.replace("clean: {name: none}", "'{table}': {name: device_profile, table: {sweep: [one.csv, two.csv]}}")
    text = text.replace(
        "MLP: {name: mlp, hidden: [16]}", "'MLP {hidden.0}': {name: mlp, hidden: [{sweep: [16, 1234567]}]}"
    )
    ramp = "'{schedule} {method}': {name: ramped, schedule: {sweep: [{name: linear}, {name: quadratic}]}, method: {name: sam}}"
    suite = load_suite(write_suite(text.replace("RWP: {name: rwp, sigma: 0.1}", ramp)), registry)
    assert list(suite.noise)[:2] == ["one", "two"]
    assert list(suite.backbones) == ["MLP 16", "MLP 1234567"]
    assert list(suite.methods) == ["SGD", "linear sam", "quadratic sam"]


def test_a_label_with_an_equals_sign_can_be_set(registry: Registry) -> None:
    """The path of --set is as much of the text as names something there is."""
    path = find_suite("quickstart")
    settings = ["methods.SAM ρ={rho}.rho=0.5", "noise.Laplace b={b}=null", "recipe.epochs=1"]
    suite = load_suite(path, registry, settings=settings)
    assert "SAM ρ=0.5" in suite.methods
    assert "Laplace b=0.1" not in suite.noise
    with pytest.raises(UsageError, match="where null deletes"):
        load_suite(path, registry, settings=["recipe.epochs="])


def test_a_directory_hides_no_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that happens to have a suite's name is not taken for its file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert find_suite("quickstart").name == "quickstart.yaml"


def test_settings_are_laid_over_the_suite(write_suite: Write, registry: Registry) -> None:
    """--set changes values by path, typed as YAML, before sweeps are resolved; a mistake in one is located in the flag."""
    path = write_suite()
    settings = ["recipe.epochs=7", "noise.Gaussian {sigma}.sigma={sweep: [0.5]}", "methods.RWP=null"]
    suite = load_suite(path, registry, settings=settings)
    assert (suite.recipe.epochs, list(suite.noise), list(suite.methods)) == (7, ["clean", "Gaussian 0.5"], ["SGD"])
    assert problems(path, registry, ("recipe.epochs=x",))[0].startswith("--set recipe.epochs=x:1:1: recipe.epochs")
    with pytest.raises(UsageError, match="expected path=value"):
        load_suite(path, registry, settings=["recipe.epochs"])


def keys(suite: Suite) -> list[str]:
    return [cell.key for cell in suite.cells()]


def test_cells_are_every_combination_once(tiny: Suite) -> None:
    """Methods × noise × selections × seeds, those of a training together."""
    cells = list(tiny.cells())
    assert len(cells) == len(set(keys(tiny))) == 2 * 3 * 2 * 2
    trainings = [cell.training.key for cell in cells]
    assert len(dict.fromkeys(trainings)) == 4
    assert trainings == sorted(trainings, key=list(dict.fromkeys(trainings)).index)


def test_only_and_exclude_take_labels(tiny: Suite) -> None:
    """Cells are picked by patterns for any of their labels."""
    assert {c.noise.name for c in tiny.cells(only=["Gaussian*"])} == {"gaussian"}
    assert {c.training.method.name for c in tiny.cells(exclude=["RWP"])} == {"sgd"}
    assert len(list(tiny.cells(only=["SGD"], exclude=["last"]))) == 6


def test_what_is_not_random_is_drawn_once(tiny: Suite) -> None:
    """Clean cells have one draw, noisy ones as many as the suite says."""
    assert {(cell.noise.name, cell.draws) for cell in tiny.cells()} == {("none", 1), ("gaussian", 3)}


@pytest.mark.parametrize(
    "setting",
    [
        "recipe.epochs=4",
        "recipe.optimizer.lr=0.06",
        "recipe.augment=[]",
        "methods.RWP.sigma=0.2",
        "methods.RWP.samples=2",
        "backbones.MLP.hidden=[17]",
        "datasets.synthetic.noise=0.4",
        "draws=4",
        "evaluation.batch_norm=recalibrated",
        "recipe.bn_statistics=both",
    ],
)
def test_whatever_changes_a_result_changes_its_key(setting: str, write_suite: Write, registry: Registry) -> None:
    """Any nested field gives other keys to the cells it concerns, and only to those."""
    path = write_suite()
    before, after = load_suite(path, registry), load_suite(path, registry, settings=[setting])
    concerned = [cell for cell in before.cells() if "methods.RWP" not in setting or cell.training.method.name == "rwp"]
    kept = {cell.key for cell in before.cells()} & set(keys(after))
    assert not kept & {cell.key for cell in concerned if not (setting == "draws=4" and cell.draws == 1)}
    if "RWP" in setting:
        assert len(kept) == len(keys(before)) / 2


def test_labels_names_paths_and_storage_are_in_no_key(write_suite: Write, registry: Registry) -> None:
    """Renaming a row or the suite, moving the file, or keeping fewer epochs costs no computation."""
    before = load_suite(write_suite(), registry)
    renamed = (
        TINY.replace("SGD:", "baseline:")
        .replace("name: tiny", "name: other")
        .replace("epochs: 3", "epochs: 3, keep_epochs: 1")
    )
    assert set(keys(before)) == set(keys(load_suite(write_suite(renamed, "moved.yaml"), registry)))


def test_a_file_is_in_the_key_by_its_bytes(write_suite: Write, registry: Registry, tmp_path: Path) -> None:
    """Editing a file that a component reads changes the keys, moving it does not."""
    text = TINY.replace("{name: none}", "{name: device_profile, table: a.csv}")
    (tmp_path / "a.csv").write_text("magnitude,mean,std\n0,0,0.1\n")
    (tmp_path / "b.csv").write_text("magnitude,mean,std\n0,0,0.1\n")
    first = keys(load_suite(write_suite(text), registry))
    assert keys(load_suite(write_suite(text.replace("a.csv", "b.csv")), registry)) == first
    (tmp_path / "a.csv").write_text("magnitude,mean,std\n0,0,0.2\n")
    assert keys(load_suite(write_suite(text), registry)) != first


def test_versions_are_in_the_key(tiny: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raising a component's version gives its own cells new keys and leaves all others; raising the protocol's spares none."""
    before = keys(tiny)
    concerned = {cell.key for cell in tiny.cells() if cell.training.method.name == "sgd"}
    monkeypatch.setattr(SGD, "version", 2)
    again = tiny.replace(methods={label: method.replace() for label, method in tiny.methods.items()})
    assert set(before) - set(keys(again)) == concerned
    assert len(concerned) == 12
    monkeypatch.setattr("nrbench.suite.cell.PROTOCOL_VERSION", 3)
    assert not set(keys(again.replace())) & set(before)


def test_one_training_for_all_noise_and_selections(tiny: Suite) -> None:
    """What only judges a training is in no training key."""
    by_training: dict[str, list[Cell]] = {}
    for cell in tiny.cells():
        by_training.setdefault(cell.training.key, []).append(cell)
    assert [len(cells) for cells in by_training.values()] == [6, 6, 6, 6]


def test_a_budget_of_passes(write_suite: Write, registry: Registry) -> None:
    """Methods train as many epochs as their planned passes allow, under the key that so many epochs have without a budget."""
    text = TINY.replace(
        "  RWP: {name: rwp, sigma: 0.1}\n", "  RWP: {name: rwp}\n  SAM: {name: sam}\n  ESAM: {name: esam}\n"
    )
    equal = load_suite(write_suite(text), registry, settings=["recipe={epochs: 8, budget: passes}"])
    epochs = {labels.method: training.epochs for labels, training in equal.own_trainings.items()}  # type: ignore[attr-defined]
    assert epochs == {"SGD": 8, "RWP": 8, "SAM": 4, "ESAM": 4}  # 8 ÷ 1⅚ is 4.4
    plain = load_suite(write_suite(text), registry, settings=["recipe.epochs=4"])
    shared = set(equal.trainings()) & set(plain.trainings())
    assert {equal.trainings()[key].method for key in shared} == {"SAM", "ESAM"}
    for settings, expected in (
        (
            ["recipe={epochs: 1, budget: passes}"],
            "a budget of 1 epochs' passes is less than one epoch of 2 passes a step",
        ),
        (["recipe.budget=steps"], "epochs"),
        (["recipe={epochs: 8, budget: passes, bn_statistics: clean}"], "bn_statistics: first; clean adds a pass"),
    ):
        with pytest.raises(SuiteError, match=expected):
            load_suite(write_suite(text), registry, settings=settings)


def test_a_collection_of_both_budgets_shares_what_trains_alike(write_suite: Write, registry: Registry) -> None:
    """SGD under the same labels is one row of both; SAM, whose epochs differ, has to be named apart."""
    write_suite(TINY.replace("name: tiny", "name: one"), "one.yaml")
    other = "extends: one.yaml\nname: two\nrecipe: {budget: passes}\n"
    write_suite(other, "two.yaml")
    both = load_suite(write_suite("name: both\ninclude: [one.yaml, two.yaml]\n", "both.yaml"), registry)
    assert len(both.trainings()) == 4
    write_suite(TINY.replace("name: tiny", "name: one").replace("{name: rwp, sigma: 0.1}", "{name: sam}"), "one.yaml")
    with pytest.raises(SuiteError, match="trains RWP, MLP, synthetic by another recipe"):
        load_suite(write_suite("name: both\ninclude: [one.yaml, two.yaml]\n", "both.yaml"), registry)


def test_a_lock_is_the_suite(tiny: Suite, tmp_path: Path, registry: Registry) -> None:
    """What was resolved is written down and read again as an equal suite."""
    path = tmp_path / "suite.lock.json"
    path.write_bytes(tiny.lock())
    again = locked_suite(path, registry)
    assert keys(again) == keys(tiny)
    assert again == tiny


def test_suites_that_come_along_are_found_by_name(registry: Registry) -> None:
    """Every shipped suite is valid and found by its name; a name that is near is suggested."""
    assert "quickstart" in shipped_suites()
    for name in shipped_suites():
        load_suite(find_suite(name), registry)
    with pytest.raises(UsageError, match="did you mean 'quickstart'"):
        find_suite("quikstart")


def test_an_ambiguous_name_is_an_error_where_it_is_used(write_suite: Write) -> None:
    """Two plugins with one name disturb no suite that does not use it, and one that does is told both."""

    class Other(SGD):
        """Another plugin's method of the same name."""

    class Stranger:
        @hookimpl
        def nrbench_components(self) -> list[type[SGD]]:
            return [Other]

    registry = load_registry(extra=[Stranger()])
    found = problems(write_suite(), registry)
    assert len(found) == 1
    assert "method 'sgd' is ambiguous: nrbench (methods) and Stranger both offer one" in found[0]
    load_suite(write_suite(TINY.replace("{name: sgd}", "{name: sam}")), registry)
