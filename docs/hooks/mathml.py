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
# Where the output is worse than the input, and the better.
MENDED = {
    r"<mi>(&#x0007E;)</mi>": "<mo>&#x0223C;</mo>",  # \sim is a relation
    r"<mi>(&#x027E8;)</mi>": r'<mo stretchy="false" form="prefix">\1</mo>',  # \langle is a fence
    r"<mi>(&#x027E9;)</mi>": r'<mo stretchy="false" form="postfix">\1</mo>',
    r'<mo stretchy="true"([^>]*>)(?=&#x0(?:007C|2016);)': r'<mo stretchy="false"\1',  # | and ||
    # a sign, not a difference
    r"(<mo[^>]*>(?:&#x00028;|\[|&#x0003D;|&#x0002C;)</mo>)<mo>&#x02212;</mo>": (
        r'\1<mo form="prefix">&#x02212;</mo>'
    ),
    r"(<mi>(?:log|exp)</mi>)(?!<mo[^>]*>&#x00028;)": r'\1<mspace width="0.167em" />',
}
# A bar says in LaTeX whether it opens or closes; MathML learns it from \left and \right.
BARS = re.compile(r"(?<!\\left)(?<!\\right)(?=\\([lr])[vV]ert\b)")


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
    fenced = BARS.sub(lambda bar: r"\left" if bar[1] == "l" else r"\right", latex)
    try:
        mathml = convert(fenced, display="block" if display else "inline")
    except Exception as error:  # latex2mathml has a dozen kinds without a common one
        raise ValueError(f"${latex}$: {type(error).__name__}") from error
    if unknown := re.search(r"\\[A-Za-z]*|(?<=>)&(?=<)", mathml):
        raise ValueError(f"${latex}$: {unknown[0]!r} has no MathML")
    for found, better in MENDED.items():
        mathml = re.sub(found, better, mathml)
    return f'<div class="formula">{mathml}</div>' if display else mathml
