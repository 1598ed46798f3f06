"""What a section makes, checked: a plugin's own code, of which a mistake costs its place on the page and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import get_args
from xml.etree import ElementTree

from nrbench.base.errors import told
from nrbench.families.claim import Evidence
from nrbench.families.section import Section
from nrbench.families.sheet import Entry, Figure, Head, Line, Sheet, Style

MOST_PARTS = 1000
STEM = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


def made(section: Section, evidence: Evidence) -> list[Sheet | Figure]:
    """Return what a section makes of evidence, and in the place of what it raises or should not make a sheet that says so."""
    try:
        parts = list(islice(section.parts(evidence), MOST_PARTS + 1))
        if len(parts) > MOST_PARTS:
            raise ValueError(f"it makes more than {MOST_PARTS} sheets and figures")
        for part in parts:
            for reason in _wrong(part):
                raise TypeError(reason)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also an exit
        failed = Entry(told(error), styles=("failed",))
        return [Sheet(section.name, "section", (Head("error", wide=True),), (Line(section.name, (failed,)),))]
    return [
        replace(part, draw=None) if isinstance(part, Figure) and not callable(part.draw) else part for part in parts
    ]


def _wrong(part: object) -> Iterator[str]:
    """Yield what of a part is not what its class says."""
    if isinstance(part, Figure):
        yield from _no_texts(part, "title", "seen", "data", "stem")
        if reason := _no_picture(part.svg):
            yield f"its figure has no SVG picture: {reason}"
        if part.stem and not STEM.fullmatch(part.stem):
            yield f"the stem of its figure is {part.stem!r:.100}: lower-case letters, digits, hyphens and underscores"
    elif isinstance(part, Sheet):
        yield from _wrong_sheet(part)
    else:
        yield f"it made a {type(part).__name__}, and neither a sheet nor a figure"


def _no_picture(svg: object) -> str:
    """Return why something is no SVG picture, or one that could run code where it is opened; nothing where it is one."""
    if not isinstance(svg, bytes) or b"<!ENTITY" in svg:
        return "bytes without entities are expected"
    try:
        elements = list(ElementTree.fromstring(svg).iter())
    except ElementTree.ParseError as error:
        return str(error)
    for element in elements:
        tag = str(element.tag).rpartition("}")[2].lower()
        names = [name.rpartition("}")[2].lower() for name in element.attrib]
        runs = any("javascript:" in value.lower() for value in element.attrib.values())
        if tag in ("script", "foreignobject") or runs or any(name.startswith("on") for name in names):
            return f"its {tag} runs code"
    return "" if str(elements[0].tag).endswith("svg") else "it is another document"


def _wrong_sheet(sheet: Sheet) -> Iterator[str]:
    yield from _no_texts(sheet, "title", "first")
    if not (isinstance(sheet.notes, tuple) and all(isinstance(note, str) for note in sheet.notes)):
        yield "the notes of its sheet are no texts"
    if not (isinstance(sheet.heads, tuple) and sheet.heads and all(isinstance(head, Head) for head in sheet.heads)):
        yield "the heads of its sheet are none"
        return
    for head in sheet.heads:
        yield from _no_texts(head, "label", "group")
    if not (isinstance(sheet.lines, tuple) and all(isinstance(line, Line) for line in sheet.lines)):
        yield "the lines of its sheet are none"
        return
    for line in sheet.lines:
        yield from _no_texts(line, "label", "group")
        entries = line.entries
        if not (isinstance(entries, tuple) and all(isinstance(entry, Entry) for entry in entries)):
            yield f"the line {line.label!r:.100} has something else than entries"
        elif len(entries) != len(sheet.heads):
            yield f"the line {line.label!r:.100} has {len(entries)} entries under {len(sheet.heads)} heads"
        else:
            for entry in entries:
                yield from _wrong_entry(entry)


def _wrong_entry(entry: Entry) -> Iterator[str]:
    yield from _no_texts(entry, "text")
    if not all(
        isinstance(texts, tuple) and all(isinstance(t, str) for t in texts) for texts in (entry.below, entry.details)
    ):
        yield "what stands below an entry, or in its details, are no texts"
    if not (isinstance(entry.styles, tuple) and all(style in get_args(Style) for style in entry.styles)):
        yield f"an entry has the styles {entry.styles!r:.100}"
    for number in (entry.accuracy, entry.spread):
        if number is not None and not (isinstance(number, float | int) and abs(number) < 1e6):
            yield f"an entry has the number {number!r:.100}"


def _no_texts(part: object, *names: str) -> Iterator[str]:
    for name in names:
        if not isinstance(getattr(part, name), str):
            yield f"the {name} of its {type(part).__name__.lower()} is {getattr(part, name)!r:.100}, and no text"
