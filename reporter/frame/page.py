"""A report's page: one HTML file that needs nothing else, neither script nor network.

A page is a template that extends `frame.html.j2`, which has the policy and the styles. Every string
from the data goes through the template, which escapes it; only drawings, which hold no such string,
go in as they are.
"""

import math
import re
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from infer.base.words import counted
from reporter.frame.drawing import span

EXCERPT: Final = 200
# Of the markup that reviews from web pages hold, what parts lines and paragraphs.
_BREAKS: Final = re.compile(r"\s*(?:<\s*/?\s*(?:br|p)\s*/?\s*>\s*)+", re.IGNORECASE)


def load_template(package: str, name: str) -> Template:
    """Return a template of a package, which may extend the frame's.

    Args:
        package: the Python package that it lies in.
        name: its file.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("reporter.frame", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "points": points,
        "decimal": decimal,
        "count": count,
        "counted": counted,
        "span": span,
    }
    return environment.get_template(name)


def excerpt(text: str) -> str:
    """Return the first 200 characters of a text, its HTML breaks as spaces.

    Example:
        >>> excerpt("Fine.<br /><br />Or not.")
        'Fine. Or not.'
    """
    text = _BREAKS.sub(" ", text).strip()
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()}…"


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share from 0 to 1 in per cent, or a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{share:.{digits}%}"


def points(difference: float | None, digits: int = 1) -> str:
    """Return a difference of shares in percentage points with its sign, or a dash."""
    if difference is None or math.isnan(difference):
        return "–"
    return f"{100 * difference:+.{digits}f}".replace("-", "−")


def decimal(value: float | None, digits: int = 4) -> str:
    """Return a number with so many decimal places, or a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def count(number: int) -> str:
    """Return a whole number with commas."""
    return f"{number:,}"
