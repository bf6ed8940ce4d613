"""The text of an expression to its nodes. The only module that imports lark.

The grammar is LALR(1): no recursion while parsing, one step for each token, so that deep nesting
and long texts cost what their length costs. Nodes are made as rules are reduced; there is no parse
tree. Precedence is that of ClassAds (and C).

A peculiarity of JDLs: `!other.CE == "x"` is meant, and read by JAliEn, as `!(other.CE == "x")`.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from gpuctl.match.expression.errors import ExpressionError
from gpuctl.match.expression.functions import check_call
from gpuctl.match.expression.nodes import (
    Attribute,
    Binary,
    Call,
    Conjunction,
    Disjunction,
    Fallback,
    Items,
    Literal,
    Node,
    Select,
    Subscript,
    Ternary,
    Unary,
)
from gpuctl.match.expression.values import ERROR, UNDEFINED

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "parse"]

MAX_CHARACTERS = 1 << 16
MAX_DEPTH = 100  # evaluation uses Python's stack

_GRAMMAR = r"""
?start: choice
?choice: either
    | either "?" choice ":" choice   -> ternary
    | either "?:" choice             -> fallback
?either: both ("||" both)*           -> disjunction
?both: equality ("&&" equality)*     -> conjunction
?equality: relation
    | equality EQUALITY relation     -> binary
?relation: sum
    | relation RELATION sum          -> binary
?sum: product
    | sum SIGN product               -> binary
?product: prefixed
    | product PRODUCT prefixed       -> binary
?prefixed: postfixed
    | NOT prefixed                   -> unary
    | SIGN prefixed                  -> unary
?postfixed: atom
    | postfixed "." NAME             -> select
    | postfixed "[" choice "]"       -> subscript
?atom: REAL                          -> real
    | INTEGER                        -> integer
    | STRING                         -> string
    | CONSTANT                       -> constant
    | NAME                           -> attribute
    | NAME "(" [choice ("," choice)*] ")"  -> call
    | "{" [choice ("," choice)*] "}"       -> items
    | "(" choice ")"

EQUALITY: "=?=" | "=!=" | "==" | "!=" | /isnt(?!\w)/i | /is(?!\w)/i
RELATION: "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
PRODUCT: "*" | "/" | "%"
NOT: "!"
CONSTANT.2: /(true|false|undefined|error)(?!\w)/i
REAL.2: /([0-9]+\.[0-9]+|\.[0-9]+)([eE][+-]?[0-9]+)?(?![\w.])|[0-9]+[eE][+-]?[0-9]+(?![\w.])/
INTEGER: /(0|[1-9][0-9]*)(?![\w.])/
STRING: /"(\\[\s\S]|[^"\\])*"/
NAME: /[A-Za-z_]\w*/
%ignore /[ \t\r\n\f]+/
%ignore /\/\*([^*]|\*(?!\/))*\*\//
"""

_CONSTANTS = {"true": True, "false": False, "undefined": UNDEFINED, "error": ERROR}
_SCOPES = {"other": "other", "target": "other", "self": "self", "my": "self"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "b": "\b"}
_WORDS = {
    "NAME": "a name",
    "INTEGER": "a number",
    "STRING": 'a text in `"`',
    "$END": "the end",
    "RPAR": "`)`",
}


def parse(text: str) -> Node:
    """Raises ExpressionError with the column of what is wrong."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"an expression of {len(text)} characters; at most {MAX_CHARACTERS} are read"
        )
    try:
        node: Any = _parser().parse(text)  # the transformer makes it a Node
    except VisitError as error:
        raise (error.orig_exc if isinstance(error.orig_exc, ExpressionError) else error) from None
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    return _not_a_scope(node)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder())


@v_args(inline=True)
class _Builder(Transformer[Token, Node]):
    """One method for each rule."""

    def integer(self, token: Token) -> Node:
        number = int(token) if len(token) <= 19 else 1 << 63
        return Literal(number if number < 1 << 63 else float(str(token)[:400]))

    def real(self, token: Token) -> Node:
        return Literal(float(str(token)[:400]))

    def string(self, token: Token) -> Node:
        return Literal(_unescaped(str(token)[1:-1]))

    def constant(self, token: Token) -> Node:
        return Literal(_CONSTANTS[token.lower()])

    def attribute(self, token: Token) -> Node:
        return Attribute("", str(token))

    def call(self, token: Token, *arguments: Node | None) -> Node:
        given = tuple(each for each in arguments if each is not None)
        check_call(str(token), len(given), token.column or 0)
        return _bounded(Call(token.lower(), given, str(token)))

    def items(self, *elements: Node | None) -> Node:
        return _bounded(Items(tuple(each for each in elements if each is not None)))

    def select(self, record: Node, name: Token) -> Node:
        if isinstance(record, Attribute) and not record.scope:
            scope = _SCOPES.get(record.key)
            if scope is not None:
                return Attribute(scope, str(name))
        return _bounded(Select(record, sys.intern(name.lower())))

    def subscript(self, container: Node, index: Node) -> Node:
        return _bounded(Subscript(container, index))

    def unary(self, operator: Token, operand: Node) -> Node:
        return _bounded(Unary(str(operator), operand))

    def binary(self, left: Node, operator: Token, right: Node) -> Node:
        sign = {"is": "=?=", "isnt": "=!="}.get(operator.lower(), str(operator))
        if _is_jaliens_negation(left, sign, right):
            return _bounded(Unary("!", Binary(sign, left.parts()[0], right)))
        return _bounded(Binary(sign, left, right))

    def conjunction(self, *terms: Node) -> Node:
        return terms[0] if len(terms) == 1 else _bounded(Conjunction(terms))

    def disjunction(self, *terms: Node) -> Node:
        return terms[0] if len(terms) == 1 else _bounded(Disjunction(terms))

    def ternary(self, condition: Node, then: Node, otherwise: Node) -> Node:
        return _bounded(Ternary(condition, then, otherwise))

    def fallback(self, value: Node, otherwise: Node) -> Node:
        return _bounded(Fallback(value, otherwise))


def _bounded(node: Node) -> Node:
    for part in node.parts():
        _not_a_scope(part)
    if node.depth > MAX_DEPTH:
        raise ExpressionError(f"an expression nested deeper than {MAX_DEPTH}")
    return node


def _not_a_scope(node: Node) -> Node:
    """`other` without a name behind it is no value."""
    if isinstance(node, Attribute) and not node.scope and node.key in _SCOPES:
        raise ExpressionError(f"`{node.name}` stands alone, give a name: `{node.name}.TTL`")
    return node


def _is_jaliens_negation(left: Node, operator: str, right: Node) -> bool:
    return (
        isinstance(left, Unary)
        and left.operator == "!"
        and isinstance(left.operand, Attribute)
        and left.operand.scope == "other"
        and operator in ("==", "!=")
        and isinstance(right, Literal)
        and isinstance(right.value, str)
    )


def _unescaped(text: str) -> str:
    """`\\"` and `\\\\` and C's control characters; any other character stands for itself."""
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match.group(1), match.group(1)), text)


def _unexpected(text: str, error: UnexpectedInput) -> ExpressionError:
    column = error.pos_in_stream if error.pos_in_stream is not None else len(text)
    token: Any = getattr(error, "token", None)
    at_end = token is not None and token.type == "$END"
    column = len(text) if at_end or column < 0 else column
    found = "the end" if column >= len(text) else f"`{text[column : column + 20]}`"
    names = getattr(error, "accepts", None) or getattr(error, "allowed", None) or ()
    wanted = [words for name, words in _WORDS.items() if name in names][:1]
    hint = f", expected {wanted[0]}" if wanted else ""
    return ExpressionError(f"column {column + 1}: found {found}{hint}", column + 1)
