"""Labels that some output could take for something else than text."""

from __future__ import annotations

import pytest

USUAL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b `c` **d** [e](f)",
    "=HYPERLINK(1)",
    "+1",
    "@x",
    "-2",
]
ALL = [
    *USUAL,
    "'><svg onload=alert(1)>", "</td></tr></table>", "<!-- x -->", "]]>", "&lt;b&gt;", "&#x3c;b&#x3e;", "{{ 7*7 }}",
    "{% raw %}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "javascript:alert(1)", "![x](http://evil.example)",
    "[x]: http://evil.example", "# heading", "* item", "1. item", "2) item", "- item", "+ item", "> quote", "~~~ fence", "```", "_under_ __line__",
    "<b>bold</b>", "a\\b", "\\\\", "\\input{/etc/passwd}", "\\write18{ls}", "$x^2$", "$$x$$", "%comment", "a & b", "#1",
    "~tilde^hat_", "{braces}", "=1+cmd|' /C calc'!A0", "@SUM(1)", "+cmd", "-cmd", "'quoted'", '"double"', "a,b;c", "%00",
    "../../etc", "<iframe src=//evil.example>", 'style="x"', "onload=alert(1)", "<a href=x>y</a>", "<style>*{}</style>",
    "</style><script>", "</script><script>", "<math><mi>", "\\textbf{x}", "\\end{document}", "http://evil.example",
    "|---|---|", "<br>", "'or'1",
]  # fmt: skip
PAYLOADS = [payload if payload in USUAL else pytest.param(payload, marks=pytest.mark.slow) for payload in ALL]
"""As parameters of a test: the usual ones, and all of them where slow tests are asked for."""
