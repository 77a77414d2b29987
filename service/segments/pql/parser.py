"""Reading the text of a rule."""

from functools import cache
from importlib.resources import files

from lark import Lark
from lark.exceptions import UnexpectedInput

from service.segments.pql.binding import Binder
from service.segments.pql.complaints import explain
from service.segments.pql.limits import check_text
from service.segments.pql.scopes import Frame
from service.segments.pql.source import Source
from service.segments.pql.syntax import Expression


def parse(text: str) -> Expression:
    """Return the checked tree of a rule, in normal form.

    A rule that passes is one this service can evaluate: no part of it is left out. What PQL has
    beyond that is refused by name, with the code ``UNSUPPORTED``.

    Raises:
        PqlError: The first fault found, with its place in ``text``; tell the author.

    Source: Experience Platform, Segmentation Service, Profile Query Language.
    """
    check_text(text)
    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        raise explain(error, text) from None
    return Binder(Source(text)).condition(tree, Frame())


@cache
def _grammar() -> Lark:
    grammar = files("service.segments.pql").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True)
