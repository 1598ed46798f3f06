from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner

from nrbench import load_registry
from nrbench.base.component import families
from nrbench.cli.arguments import asked_executor
from nrbench.cli.main import COMMANDS, cli
from nrbench.families.executor import Serial
from nrbench.jobs.processes import Processes
from nrbench.suite.schema import suite_schema
from tests.conftest import TINY, Finished

ROOT = Path(__file__).parent.parent.parent
Command = Callable[..., Finished]
Write = Callable[..., Path]


def test_the_commands_and_their_flags() -> None:
    """The surface that people script against: no command or flag appears or disappears unnoticed."""
    surface = {name: sorted(o for p in command.params for o in p.opts) for name, command in verbs().items()}
    suite = ["--data-dir", "--device", "--exclude", "--force", "--only", "--out", "--retry-failed", "--set", "-o"]
    assert surface == {
        "run": sorted(
            [
                *suite,
                "suite",
                "--executor",
                "-x",
                "--jobs",
                "--jobs-per-device",
                "-j",
                "--timeout",
                "--watch",
                "--quiet",
                "-q",
                "--verbose",
                "-v",
                "--json",
            ]
        ),
        "plan": sorted([*suite, "suite", "--json", "--measure"]),
        "validate": ["--data-dir", "--json", "--no-build", "--set", "suites"],
        "report": sorted(["--device", "--json", "--out", "--set", "-o", "suite"]),
        "ls": ["--json", "kind"],
        "show": ["--data-dir", "--json", "name"],
        "schema": ["name"],
        "doctor": ["--json"],
        "status": sorted(["--device", "--json", "--out", "--set", "-o", "suite"]),
        "import": sorted(["--json", "--out", "-o", "directory"]),
        "export": sorted(["--json", "--out", "--to", "-o", "cell"]),
        "judge": sorted(
            [
                "weights",
                "--backbone",
                "--dataset",
                "--noise",
                "--with",
                "--draws",
                "--out",
                "-o",
                "--data-dir",
                "--device",
            ]
        ),
        "bench": sorted(["--data-dir", "--device", "--json", "--seconds", "--set", "suite"]),
        "landscape": sorted(
            [
                *("--cell", "--on", "--images", "--points", "--reach", "--line", "--noise", "--set", "--out", "-o"),
                *("--data-dir", "--device", "--jobs", "-j", "suite"),
            ]
        ),
        "compare": ["--fail-under", "--json", "first", "second"],
        "verify": sorted(
            ["--data-dir", "--device", "--jobs", "-j", "--json", "--only", "--results", "--retrain", "target"]
        ),
        "submit": sorted(["--licence", "--out", "-o", "--results", "--weights", "row"]),
        "merge": sorted(["--json", "--name", "--out", "-o", "studies"]),
        "site": sorted(["--licence", "--out", "-o", "--weights", "studies"]),
        "clean": sorted(["--device", "--json", "--remove", "--results", "needed"]),
        "new": [],
    }


def verbs() -> dict[str, click.Command]:
    context = click.Context(cli)
    return {name: command for name in cli.list_commands(context) if (command := cli.get_command(context, name))}


def test_help_says_of_each_verb_what_the_verb_says_of_itself() -> None:
    """The sentence that --help has without importing a command is the first of the command's own documentation."""
    assert [*verbs()] == [*COMMANDS]
    for name, command in verbs().items():
        assert command.name == name
        assert (command.help or "").partition("\n")[0] == COMMANDS[name]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], list(COMMANDS)),
        (["run", "--help"], ["--executor", "--jobs", "--timeout", "--out", "--set", "--device"]),
        (["--version"], [version("nrbench")]),
    ],
    ids=["help", "run", "version"],
)
def test_help(arguments: list[str], shown: list[str]) -> None:
    """Help names every command, a command's help every flag, and --version the version that is installed."""
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0
    assert [text for text in shown if text not in done.output] == []


def test_run_report_and_plan(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """A run prints its tables and writes its files; reporting it again gives the same bytes; a plan then has nothing to do."""
    path, out = write_suite(), tmp_path / "out"
    before = json.loads(nrbench("plan", path, "-o", out, "--json").out)
    assert (before["trainings"], before["cells"], before["cached_cells"], before["seconds"]) == (4, 24, 0, None)
    assert before["passes"] == 12
    assert before["disk_bytes"] > 0
    done = nrbench("run", path, "-o", out)
    assert done.code == 0
    assert "Ranking of tiny over 3 columns" in done.out
    assert "SGD, MLP, synthetic, seed 0: epoch 1/3, loss" in done.err
    assert "\x1b" not in done.out + done.err
    written = (out / "tiny" / "leaderboard.json").read_bytes()
    for again in (nrbench("report", path, "-o", out), nrbench("report", out / "tiny")):
        assert again.code == 0
        assert "Ranking of tiny over 3 columns" in again.out
        assert (out / "tiny" / "leaderboard.json").read_bytes() == written
    after = json.loads(nrbench("plan", path, "-o", out, "--json").out)
    assert (after["trainings"], after["cells"], after["cached_cells"], after["seconds"]) == (0, 0, 24, 0)
    more = json.loads(nrbench("plan", path, "-o", out, "--json", "--set", "seeds=3").out)
    assert more["trainings"] == 2
    assert more["seconds"] > 0
    assert "cells to compute" in nrbench("plan", path, "-o", out).out


def test_results_go_to_stdout_and_progress_to_stderr(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """`run --json` prints exactly leaderboard.json on standard output, and with -q nothing else anywhere."""
    done = nrbench("run", write_suite(), "-o", tmp_path / "out", "--json", "-q")
    assert done.out.encode() == (tmp_path / "out" / "tiny" / "leaderboard.json").read_bytes()
    assert done.err == ""


def test_processes_are_the_default_and_give_the_same_bytes(
    nrbench: Command, write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without -x jobs run in processes, -j says in how many, and the leaderboard is that of a serial run."""
    path = write_suite()
    assert nrbench("run", path, "-o", tmp_path / "serial", "-q").code == 0
    monkeypatch.delenv("NRBENCH_EXECUTOR")
    done = nrbench("run", path, "-o", tmp_path / "processes", "-j", 2)
    assert done.code == 0
    assert "RWP, MLP, synthetic, seed 1: done" in done.err
    assert "RWP, MLP, synthetic, seed 1: epoch 3/3, loss" in done.err
    boards = [(tmp_path / out / "tiny" / "leaderboard.json").read_bytes() for out in ("serial", "processes")]
    assert boards[0] == boards[1]


def test_a_job_that_takes_too_long_is_a_row(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """With --timeout a training that does not end is stopped, shown as such, and the exit code is 1."""
    done = nrbench(
        "run", write_suite(), "-o", tmp_path, "-x", "processes", "--timeout", "6", "--set", "recipe.epochs=100000",
        "--only", "RWP", "--set", "seeds=1",
    )  # fmt: skip
    assert done.code == 1
    assert "timeout" in done.out
    refused = nrbench("run", write_suite(), "-o", tmp_path, "-x", "serial", "--timeout", "6")
    assert refused.code == 2
    assert "means nothing to the executor 'serial'" in refused.err


FIVE = (
    TINY.replace("{name: mlp, hidden: [16]}", "{name: mlpp}")
    .replace("epochs: 3", "epochs: three")
    .replace("{name: rwp, sigma: 0.1}", "{name: rwp, sgima: 1}")
    .replace("{name: none}", "{name: gaussian, sigma: -1}")
    .replace("{sweep: [0.1, 0.3]}", "{sweep: []}")
)


def test_validate_tells_every_mistake(nrbench: Command, write_suite: Write) -> None:
    """Five mistakes are five located errors with the source line and a caret, exit 2, and the same as JSON."""
    path = write_suite(FIVE)
    done = nrbench("validate", path)
    assert done.code == 2
    heads = [line for line in done.err.splitlines() if line.startswith(str(path))]
    assert [int(line.removeprefix(str(path)).split(":")[1]) for line in heads] == [5, 6, 12, 14, 15]
    caret = done.err.splitlines()[done.err.splitlines().index(heads[0]) + 2]
    source = done.err.splitlines()[done.err.splitlines().index(heads[0]) + 1]
    assert source[caret.index("^") :].startswith("mlpp")
    rows = json.loads(nrbench("validate", path, "--json").out)
    assert [row["line"] for row in rows] == [5, 6, 12, 14, 15]
    assert set(rows[0]) == {"file", "line", "column", "path", "message", "hint"}
    assert nrbench("validate", write_suite(TINY)).code == 0
    assert json.loads(nrbench("validate", write_suite(TINY), "--json").out) == []


def test_an_invalid_suite_runs_nothing(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """No directory is made for a suite with a mistake."""
    assert nrbench("run", write_suite(FIVE), "-o", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "nowhere.yaml"], 2, "cannot read it"),
        (["run", "quikstart"], 2, "did you mean 'quickstart'"),
        (["run"], 2, "Missing argument"),
        (["run", "quickstart", "--nonsense"], 2, "No such option"),
        (["rum"], 2, "No such command"),
        (["run", "quickstart", "-x", "abacus"], 2, "no executor named 'abacus'"),
        (["run", "quickstart", "--device", "cuda:99"], 3, "no device cuda:99"),
        (["show", "gausian"], 2, "did you mean 'gaussian'"),
        (["schema", "quadratik"], 2, "did you mean 'quadratic'"),
        (["ls", "animals"], 2, "there is no kind"),
        (["report", "."], 2, "not the directory of a run"),
        (["run", "quickstart", "--device", "mps"], 3, "does not compute on 'mps'"),
        (["run", "quickstart", "--only", "nonsense*"], 2, "no cell has labels like these: Fashion-MNIST mini"),
        (["run", "quickstart", "--timeout", "0"], 2, "0.0"),
        (["import", "."], 2, "no store"),
        (["plan", "quickstart", "--set", "recipe.epochs="], 2, "null deletes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_exit_codes_and_messages(
    arguments: list[str], code: int, message: str, nrbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be done is one sentence on standard error, without a traceback, and its exit code."""
    monkeypatch.chdir(tmp_path)
    done = nrbench(*arguments)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err


def test_an_output_that_cannot_be_written_is_exit_5(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """A file in the place of the output directory is named."""
    (tmp_path / "out").write_text("")
    done = nrbench("run", write_suite(), "-o", tmp_path / "out")
    assert done.code == 5
    assert "out" in done.err


def test_missing_data_is_exit_3(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """A data set that is none is named before anything is trained."""
    (tmp_path / "own.npz").write_text("nothing")
    text = TINY.replace("{name: synthetic, train_size: 128, test_size: 64}", "{name: npz, file: own.npz}")
    done = nrbench("run", write_suite(text), "-o", tmp_path / "out")
    assert done.code == 3
    assert "no archive" in done.err


def test_a_failed_cell_is_exit_1(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """A training that diverges is a row that says so, and the exit code says that something is missing."""
    text = TINY.replace("  RWP: {name: rwp, sigma: 0.1}", "  RWP: {name: rwp, sigma: 1.0e+29}")
    done = nrbench("run", write_suite(text), "-o", tmp_path / "out")
    assert done.code == 1
    assert "diverged" in done.out


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """A command whose reader is gone before it writes ends quietly and well, as in `nrbench schema | true`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "nrbench", "schema"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=900)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_ls_lists_what_is_installed(nrbench: Command) -> None:
    """Every component is in the list of its kind, as text and as JSON."""
    registry = load_registry()
    for kind in families():
        rows = json.loads(nrbench("ls", kind, "--json").out)
        assert [row["name"] for row in rows] == [entry.name for entry in registry.of_kind(kind)]
        assert set(rows[0]) == {"name", "kind", "plugin", "distribution", "version", "summary", "status", "error"}
        assert all(row["summary"] and row["status"] == "ok" for row in rows)
    assert "gaussian" in nrbench("ls").out
    plugins = json.loads(nrbench("ls", "plugins", "--json").out)
    assert {"core", "methods", "noise", "backbones", "datasets"} <= {row["name"] for row in plugins}


def test_show_says_what_the_class_says(nrbench: Command) -> None:
    """Every component is shown with the whole text of its class and of each field, and with each default."""
    for entry in load_registry().entries:
        texts = [inspect.getdoc(entry.component) or ""]
        for name, field in entry.component.model_fields.items():
            if name != "name":
                texts += [f"{name}:", field.description or ""]
                texts += ["required"] if field.is_required() else ["default"]
        done = nrbench("show", entry.name)
        assert done.code == 0
        shown = "".join(done.out.split())
        assert [text for text in texts if "".join(text.split()) not in shown] == [], entry.name
    (rwp,) = json.loads(nrbench("show", "rwp", "--json").out)
    defaults = {field["name"]: field["default"] for field in rwp["fields"]}
    assert (defaults["sigma"], defaults["samples"]) == ("0.05", "1")
    assert "sigma: number ≥ 0, default 0.05" in nrbench("show", "rwp").out


def test_the_schema_accepts_valid_suites_and_refuses_others(nrbench: Command) -> None:
    """An editor with the schema accepts every suite of ours and marks a wrong name, type or key."""
    from ruamel.yaml import YAML

    from nrbench.suite.shipped import shipped_suites

    schema = json.loads(nrbench("schema").out)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for path in shipped_suites().values():
        validator.validate(YAML(typ="safe", pure=True).load(path.read_text()))
    tutorial = re.findall(
        r"^```yaml .*?\n(.*?)^```$", (ROOT / "docs" / "tutorial.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(tutorial) == 3
    for text in (*tutorial, "extends: a.yaml\nmethods: {RWP: {sigma: 0.3}}\nrecipe: {optimizer: {lr: 0.3}}"):
        validator.validate(YAML(typ="safe", pure=True).load(text))
    for text in (
        TINY,
        TINY.replace("sigma: {sweep: [0.1, 0.3]}", "scale: {by: {sweep: [filter, layer]}}"),
        TINY.replace("{name: none}", "{name: device_profile, table: a.csv}"),
        "extends: a.yaml",
    ):
        validator.validate(YAML(typ="safe", pure=True).load(text))
    for wrong in (
        FIVE,
        TINY.replace("sigma: 0.1}", "sgima: 0.1}"),
        TINY.replace("name: sgd}", "name: adam}"),
        TINY + "x: 1",
    ):
        assert not validator.is_valid(YAML(typ="safe", pure=True).load(wrong))
    for name in ("rwp", "resnet", "leaderboard"):
        jsonschema.Draft202012Validator.check_schema(json.loads(nrbench("schema", name).out))
    assert suite_schema(load_registry()) == schema


def test_doctor_examines_the_installation(nrbench: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well here; a torchvision that is no pair to torch is one failed line among the others, and the exit code is 3."""
    done = nrbench("doctor", "--json")
    checks = {check["what"]: check for check in json.loads(done.out)}
    assert done.code == 0
    assert {"torch", "torchvision", "timm", "device", "plugin core"} <= set(checks)
    assert all(check["ok"] for check in checks.values())

    def torn(*arguments: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.setattr("torchvision.ops.nms", torn)
    broken = nrbench("doctor", "--json")
    found = {check["what"]: check for check in json.loads(broken.out)}
    assert broken.code == 3
    assert set(found) == set(checks)
    assert {what: check["found"] for what, check in found.items() if not check["ok"]} == {
        "torchvision": "RuntimeError: operator torchvision::nms does not exist"
    }
    assert "FAILED" in nrbench("doctor").out


def test_a_plan_is_counted_by_hand(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """Four trainings of a network of 1,108 numbers keep three epochs and two checkpoints; noisy cells have three passes each."""
    found = json.loads(nrbench("plan", write_suite(), "-o", tmp_path / "out", "--json").out)
    size = 4 * (64 * 16 + 16 + 16 * 4 + 4)
    assert found["disk_bytes"] == 4 * (3 + 2) * size
    assert found["noisy_passes"] == 4 * 2 * 2 * 3  # trainings, noises, selections, draws
    assert found["resolution"] == pytest.approx(12.7062, abs=1e-4)  # Student's quantile at one degree of freedom


@pytest.mark.parametrize(
    ("written", "jobs", "expected"),
    [
        (None, None, Processes()),
        (None, 3, Processes(jobs=3)),
        (None, 1, Serial()),
        ("processes", 1, Processes(jobs=1)),
        ("serial", 1, Serial()),
        ("serial", None, Serial()),
        ("{name: processes, jobs: 3, retries: 0}", None, Processes(jobs=3, retries=0)),
        ("{name: processes, jobs: 3}", 2, Processes(jobs=2)),
    ],
)
def test_the_executor_that_flags_ask_for(written: str | None, jobs: int | None, expected: object) -> None:
    """Without -x jobs run in as many processes as -j says, by default one a core; -x takes a name or a map as in a suite."""
    assert asked_executor(written, jobs=jobs, timeout=None) == expected


def test_a_component_that_is_made_is_described_further(nrbench: Command) -> None:
    """Of a network it is said how many weights lie on the device, of images how many there are of each class."""
    done = nrbench("show", "{name: mlp, hidden: [7]}")
    assert done.code == 0
    assert f"{3072 * 7 + 70:,} weights on the device in 2 tensors of linear layers" in done.out
    assert "17 weights digital in 2 tensors" in done.out
    done = nrbench("show", "{name: synthetic, train_size: 16, test_size: 8}")
    assert "16 training images, 4 of each class" in done.out
    assert "images of 1×8×8" in done.out
    assert nrbench("show", "{name: mlp, hidden: [-7]}").code == 2
