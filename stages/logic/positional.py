"""Decides which keyword each positional argument of a constructor was meant for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.rewriting.arguments import name
from stages.logic.constructors import bind, plainly
from stages.logic.mending import scope_of

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Mapping

    from stages.logic.constructors import Signature
    from stages.logic.view import View
    from verifier.api import Edit, SourceText


@dataclass(frozen=True, slots=True)
class Named:
    """Positional arguments, each with its keyword, in the order of the call."""

    pairs: tuple[tuple[str, ast.expr], ...]

    def values(self) -> set[str]:
        return {keyword for keyword, _ in self.pairs}

    def edits(self, text: SourceText, *, keep: str) -> Iterable[Edit]:
        """Return the edits that write the keywords; the parameter `keep` may stay by position where it is first."""
        for place, (keyword, argument) in enumerate(self.pairs):
            if place or keyword != keep:
                yield name(text, argument, keyword)

    def shown(self, *, keep: str) -> str:
        """Name the keywords that are written."""
        return ", ".join(f"`{name}`" for place, (name, _) in enumerate(self.pairs) if place or name != keep)


def keywords_for(view: View, call: ast.Call, signature: Signature, meant: Mapping[str, str]) -> Named | None:
    """Return the keywords of the positional arguments; None where two would share one, or one cannot be told.

    Args:
        meant: what an argument plainly is -> its parameter, for kinds of which there is one parameter only.
    """
    bound = bind(call, signature)
    if len(bound.positional) != len(call.args):
        return None
    scope = scope_of(view, call)
    pairs: list[tuple[str, ast.expr]] = []
    for parameter, argument in bound.positional:
        what = plainly(view, argument, scope)
        named = last_name(argument)
        if what is not None and what in meant:
            keyword = meant[what]
        elif what == "number" and parameter == "enabled":
            return None
        else:
            keyword = named if named in signature.parameters else parameter
        if keyword not in signature.parameters:
            return None
        pairs.append((keyword, argument))
    keywords = [keyword for keyword, _ in pairs] + [item.arg for item in call.keywords if item.arg]
    if len(set(keywords)) < len(keywords):
        return None
    return Named(tuple(pairs))
