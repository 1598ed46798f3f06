"""What a stranger's section makes: whatever it is, the rest of the report stands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Literal

import pytest

from nrbench import Entry, Evidence, Figure, Head, Line, Section, Sheet
from nrbench.report.section_parts import made

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"


class BadText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raises(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def sheet(**changes: Any) -> Sheet:
    given: dict[str, Any] = {"title": "t", "first": "f", "heads": (Head("h"),), "lines": (Line("l", (Entry("1"),)),)}
    return Sheet(**given | changes)


def figure(**changes: Any) -> Figure:
    return Figure(**{"title": "t", "seen": "s", "svg": SVG} | changes)


BAD: dict[str, Callable[[], Any]] = {
    "an exit": raises(SystemExit(0)),
    "no Exception": raises(GeneratorExit()),
    "a text that raises": raises(BadText()),
    "no list": lambda: 3,
    "numbers": lambda: [1, 2],
    "a text": lambda: "table",
    "without end": lambda: (sheet(title=str(number)) for number in count()),
    "a place outside": lambda: [figure(stem="../../../x")],
    "an absolute place": lambda: [figure(stem="/tmp/x")],
    "a stem that is no text": lambda: [figure(stem=3)],
    "a picture that is a text": lambda: [figure(svg="<svg/>")],
    "no picture": lambda: [figure(svg=b"hello")],
    "a script": lambda: [figure(svg=b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")],
    "a handler": lambda: [figure(svg=b"<svg xmlns='http://www.w3.org/2000/svg' onload='1'></svg>")],
    "entities": lambda: [figure(svg=b"<!DOCTYPE x [<!ENTITY a 'b'>]><svg/>")],
    "no heads": lambda: [sheet(heads=())],
    "ragged lines": lambda: [sheet(lines=(Line("l", (Entry("1"), Entry("2"))),))],
    "an entry that is none": lambda: [sheet(lines=(Line("l", (None,)),))],  # type: ignore[arg-type]
    "an entry of a number": lambda: [sheet(lines=(Line("l", (Entry(3),)),))],  # type: ignore[arg-type]
    "a label of nothing": lambda: [sheet(lines=(Line(None, (Entry("1"),)),))],  # type: ignore[arg-type]
    "a style that there is not": lambda: [sheet(lines=(Line("l", (Entry("1", styles=("loud",)),)),))],  # type: ignore[arg-type]
    "an infinite number": lambda: [sheet(lines=(Line("l", (Entry("1", accuracy=float("inf")),)),))],
    "notes of numbers": lambda: [sheet(notes=(1,))],
}


def section(make: Callable[[], Any]) -> Section:
    class Strange(Section):
        """A section."""

        name: Literal["strange"] = "strange"

        def parts(self, evidence: Evidence) -> Iterator[Any]:
            return make()  # type: ignore[no-any-return]

    return Strange()


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_of_a_section_is_shown_in_its_place(name: str) -> None:
    """In the place of what it raises, or of what is neither a sheet nor a figure, stands one line that says so."""
    (shown,) = made(section(BAD[name]), Evidence())
    assert isinstance(shown, Sheet)
    assert [head.label for head in shown.heads] == ["error"]
    assert shown.lines[0].entries[0].text


def test_what_is_right_is_shown_as_it_is() -> None:
    """Sheets and figures pass unchanged."""
    parts = [sheet(), figure(stem="own-figure")]
    assert made(section(lambda: parts), Evidence()) == parts
    assert sys.exc_info() == (None, None, None)
