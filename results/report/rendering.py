"""From a page to HTML and Markdown.

The HTML is one file that asks nothing of any network: style, script and plots are in it, and its content security
policy forbids everything else, any script but this one included. All text is escaped by the templates.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from results.plots.style import FAINT, INK, PAPER
from results.report.page import Page
from specs.program import PROGRAM

_COMMAND = re.compile(rf"{PROGRAM}(?: [a-z]+)?(?: --[a-z-]+ [\w.,-]+)*|(?<![\w-])--[a-z][a-z-]*")
_THEMED = {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)"}


def render(page: Page) -> tuple[str, str]:
    """The page as HTML and as Markdown."""
    html, markdown = _environment(autoescape=True), _environment(autoescape=False)
    style, script = (_source(html, f"report.{suffix}") for suffix in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    about = {"page": page, "words": page.words}
    return (
        html.get_template("report.html").render(
            **about, policy=policy, style=Markup(style), script=Markup(script), sections=_sections(page)
        ),
        re.sub(r"\n{3,}", "\n\n", markdown.get_template("report.md").render(**about)).lstrip(),
    )


def _sections(page: Page) -> list[str]:
    """Anchors of the sections that the page has, in order."""
    there = {
        "changes": page.changes is not None,
        "plots": bool(page.plots),
        "machines": page.machines is not None,
        "failures": bool(page.failures),
    }
    order = (
        "summary", "changes", *(table.name for table in page.tables), "plots", "conformance", "failures", "machines",
        "environment", "fingerprints", "repeat", "runs",
    )  # fmt: skip
    return [name for name in order if there.get(name, True)]


@lru_cache(maxsize=2)
def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("results.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=not autoescape,
        lstrip_blocks=not autoescape,
    )
    environment.filters["inline"] = inline
    environment.filters["md"] = _markdown
    environment.filters["prose"] = _prose
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def inline(svg: str, name: str, title: str) -> Markup:
    """A plot's SVG for use inside a page: its own ids, the page's colours, a title for readers who do not see it."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", body)
    for colour, variable in _THEMED.items():
        body = body.replace(colour, variable)
    head = Markup('<svg role="img" aria-label="{}"').format(title)
    return head + Markup(body.removeprefix("<svg"))


def _prose(sentence: str) -> Markup:
    """A sentence whose commands and options are set as code."""
    marked = _COMMAND.sub(r"<code>\g<0></code>", str(escape(sentence)))
    return Markup(marked.replace("<code>--", '<code class="option">--'))


def _markdown(text: object) -> str:
    """Text as Markdown that says just that: no markup, no HTML, no table cell of its own."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|~$!])", r"\\\1", str(escape(line)).replace("&#39;", "'").replace("&#34;", '"'))
