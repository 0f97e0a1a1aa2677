"""Formulae as MathML, made when the site is built: no script, no font, no network when it is read.

`pymdownx.arithmatex` (generic) marks a formula as an element of class `arithmatex`; this hook puts
in its place what latex2mathml makes of it, and stops the build at a command it does not know.
"""

import html
import re

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
# What latex2mathml marks up so that a browser spaces it badly: relations and fences as identifiers.
OPERATORS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",  # \sim
    "<mi>&#x027E8;</mi>": '<mo stretchy="false" form="prefix">&#x027E8;</mo>',  # \langle
    "<mi>&#x027E9;</mi>": '<mo stretchy="false" form="postfix">&#x027E9;</mo>',  # \rangle
    "<mi>&#x027FA;</mi>": "<mo>&#x027FA;</mo>",  # \iff
}
BARS = re.compile(r"(?<!\\left)(?<!\\right)(?=\\[lr][vV]ert\b)")
MINUS = re.compile(r"(<mo[^>]*>(?:&#x00028;|\[|&#x0003D;|&#x0002C;)</mo>)<mo>&#x02212;</mo>")


def on_page_content(content: str, /, *, page, **_) -> str:
    """Every formula of a page's HTML converted."""

    def replace(match: re.Match[str]) -> str:
        latex = html.unescape(match["latex"]).strip()
        try:
            return formula(latex, display=match["tag"] == "div")
        except ValueError as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from None

    return FORMULA.sub(replace, content)


def formula(latex: str, *, display: bool) -> str:
    """MathML of one formula, on a line of its own or in the text.

    Raises:
        ValueError: some of it has no MathML; the formula is named.
    """
    fenced = BARS.sub(lambda at: r"\left" if latex[at.start() + 1] == "l" else r"\right", latex)
    try:
        mathml = convert(fenced, display="block" if display else "inline")
    except Exception as error:  # latex2mathml has a dozen kinds without a common one
        raise ValueError(f"${latex}$: {type(error).__name__}") from error
    if unknown := re.search(r"\\[A-Za-z]*|(?<=>)&(?=<)", mathml):
        raise ValueError(f"${latex}$: {unknown[0]!r} has no MathML")
    for found, better in OPERATORS.items():
        mathml = mathml.replace(found, better)
    mathml = MINUS.sub(r'\1<mo form="prefix">&#x02212;</mo>', mathml)  # a sign, not a difference
    return f'<div class="formula">{mathml}</div>' if display else mathml
