"""A line `{{ name(...) }}` of a page becomes what the function of that name makes of the project.

`code`, `symbols` and `departures` show the source, `result`, `samples`, `verdicts` and `measures`
what was measured. One that cannot be resolved stops the build.
"""

import ast
import inspect
import re

import results
import source
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

MARKER = re.compile(r"^\{\{ *(?P<name>\w+)\((?P<arguments>.*)\) *\}\}$", re.MULTILINE)
MAKERS = {
    maker.__name__: maker
    for maker in (
        source.code,
        source.symbols,
        source.departures,
        results.result,
        results.samples,
        results.verdicts,
        results.measures,
    )
}


def on_files(files, /, *, config):
    """Pictures of results are files of the site like those under docs/."""
    for address, path in results.pictures():
        files.append(File.generated(config, address, abs_src_path=str(path)))
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
    try:
        given = ast.literal_eval(f"({arguments},)") if arguments.strip() else ()
    except SyntaxError:
        raise source.MarkerError(f"{name}: the arguments are not literals: {arguments}") from None
    asks_for_page = "page" in inspect.signature(maker).parameters
    return maker(*given, **({"page": page} if asks_for_page else {}))
