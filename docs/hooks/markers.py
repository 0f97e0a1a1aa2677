"""A marker `{{ name(...) }}` of a page becomes what the function of that name makes of the project.

On a line of their own `code`, `block`, `symbols` and `departures` show the source; `result`,
`samples`, `trained`, `measures` and `document` what was measured; `verdicts` and `topic` what that
says of the claims; `mutants` what tests notice; `figure` and `table` what the report shows. In a
sentence `value` is a number, and `beside` says how two stand to each other. One that cannot be
resolved stops the build.
"""

import ast
import inspect
import re

import drawn
import measured
import noticed
import source
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

MARKER = re.compile(r"(?<!`)\{\{ *(?P<name>\w+)\((?P<arguments>[^{}\n]*)\) *\}\}")
MAKERS = {
    maker.__name__: maker
    for maker in (
        source.code,
        source.block,
        source.symbols,
        source.departures,
        measured.result,
        measured.samples,
        measured.trained,
        measured.verdicts,
        measured.topic,
        measured.document,
        measured.measures,
        measured.value,
        measured.beside,
        noticed.mutants,
        drawn.figure,
        drawn.table,
        drawn.interactive,
        drawn.report,
    )
}


def on_files(files, /, *, config):
    """Pictures of results are files of the site like those under docs/."""
    for address, path in measured.pictures():
        files.append(File.generated(config, address, abs_src_path=str(path)))
    if (text := drawn.page()) is not None:
        files.append(File.generated(config, drawn.INTERACTIVE, content=text))
    return files


def on_page_markdown(markdown: str, /, *, page, **_) -> str:
    """Every marker of a page replaced."""

    def replace(match: re.Match[str]) -> str:
        try:
            return expand(match["name"], match["arguments"], page)
        except ValueError as error:
            raise PluginError(f"{page.file.src_uri}: {match[0]}: {error}") from None

    return MARKER.sub(replace, markdown)


def expand(name: str, arguments: str, page=None) -> str:
    """What a marker stands for, as Markdown.

    Raises:
        ValueError: there is no such marker, or what it asks for is not there.
    """
    if name not in MAKERS:
        raise source.MarkerError(f"no marker {name!r}; there are {', '.join(MAKERS)}")
    maker = MAKERS[name]
    named = {"page": page} if "page" in inspect.signature(maker).parameters else {}
    try:
        given = ast.literal_eval(f"({arguments},)") if arguments.strip() else ()
        inspect.signature(maker).bind(*given, **named)
    except (SyntaxError, TypeError, ValueError):
        raise source.MarkerError(
            f"{name}{inspect.signature(maker)} is given ({arguments})"
        ) from None
    return maker(*given, **named)
