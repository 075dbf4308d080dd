"""Take SQL text apart as far as D1 needs: its statements, and what a statement begins with."""

from __future__ import annotations

import re
import sqlite3

_SPACE_OR_COMMENT = re.compile(r"(?:\s+|--[^\n]*|/\*.*?(?:\*/|\Z))+", re.DOTALL)
_WORD = re.compile(r"\w+")

# They would act on the connection that all statements share, or break a batch apart.
_REFUSED = {
    "BEGIN": "batch([…]) is a transaction",
    "COMMIT": "batch([…]) is a transaction",
    "END": "batch([…]) is a transaction",
    "ROLLBACK": "batch([…]) is a transaction",
    "SAVEPOINT": "batch([…]) is a transaction",
    "RELEASE": "batch([…]) is a transaction",
    "ATTACH": "give the other database a binding of its own",
    "DETACH": "give the other database a binding of its own",
    "VACUUM": "it is not needed",
}


def split_script(script: str) -> list[str]:
    """Give the statements of a script, without what is only space or comment."""
    statements, start = [], 0
    for end in (match.end() for match in re.finditer(";", script)):
        if sqlite3.complete_statement(script[start:end]):
            statements.append(script[start:end])
            start = end
    statements.append(script[start:])
    return [text.strip() for text in statements if first_word(text)]


def first_word(sql: str) -> str:
    """Give the word that a statement begins with, in capitals; "" if there is no statement."""
    comment = _SPACE_OR_COMMENT.match(sql)
    rest = sql[comment.end() :] if comment else sql
    word = _WORD.match(rest)
    return word.group().upper() if word else rest[:1].strip(";")


def refusal(sql: str) -> str | None:
    """Say why D1 does not run such a statement; None if it does."""
    word = first_word(sql)
    if not word:
        return "there is no SQL statement"
    advice = _REFUSED.get(word)
    return f"{word} is not allowed; {advice}" if advice is not None else None
