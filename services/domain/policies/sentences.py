"""Cutting a request into sentences, clauses and plain words, without what is code rather than prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.domain.policies.routing_lexicon import CONJUNCTIONS

_TRACE = re.compile(r"Traceback|[A-Za-z](?:Error|Exception)\b|\b(?:error|fatal|panic)\b", re.IGNORECASE)
_ERROR_NAME = re.compile(
    r"[a-z](?:Error|Exception)\b|[A-Z]\w*(?:Crash|Fail)|Crash[A-Z]|\bE(?:RR_|CONN)[A-Z]|\bSIG[A-Z]{3}|\bNaN\b"
)
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_MAX_NAME_LENGTH = 200
_INLINE_CODE = re.compile(r"`([^`\n]*)`")
_IDENTIFIER = re.compile(r"[_./\\@#=<>()\[\]{}$%&|~^+*:]|[a-z][A-Z]|[^\W\d_]\d|\d[^\W\d_]")
_CONTRACTIONS = (
    ("won't", "will not"),
    ("can't", "can not"),
    ("n't", " not"),
    ("'s", " is"),
    ("'m", " am"),
    ("'re", " are"),
    ("'ve", " have"),
    ("'ll", " will"),
    ("'d", " would"),
)
_AROUND_WORDS = ".,:;!?…\"'«»“”„()[]{}<>*-\u2013\u2014"
_CLAUSE_ENDS = frozenset(",:;()-\u2013\u2014")
_SENTENCE_ENDS = frozenset(".!?…")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words in lower case; `clauses` are the indices at which a part of the sentence begins, the first is 0."""

    words: tuple[str, ...]
    clauses: tuple[int, ...]
    is_question: bool


def sentences_of(text: str) -> Iterator[Sentence]:
    """The sentences of the prose, in order; a block of code becomes one word `§trace` if it shows an error, or nothing.

    Names of Markdown files become `§md`, those of errors `§error`, other paths and identifiers `§`.
    """
    for index, part in enumerate(text.replace("\u2019", "'").split("```")):
        if index % 2 == 0:
            for line in _INLINE_CODE.sub(lambda code: f" {' '.join(_words_for_code(code[1]))} ", part).splitlines():
                yield from _sentences_of_line(line)
        elif _TRACE.search(part):
            yield Sentence(("§trace",), (0,), False)


def _sentences_of_line(line: str) -> Iterator[Sentence]:
    words: list[str] = []
    clauses = [0]
    for chunk in line.split():
        core = chunk.strip(_AROUND_WORDS)
        tail = chunk[chunk.rfind(core) + len(core) :]
        if not core:
            tail = chunk
        words.extend(_words_of(core))
        if not _SENTENCE_ENDS.isdisjoint(tail):
            if "?" in tail:
                words.append("§?")
            yield Sentence(tuple(words), tuple(clauses), "?" in tail)
            words, clauses = [], [0]
        elif not _CLAUSE_ENDS.isdisjoint(tail) or (words and words[-1] in CONJUNCTIONS):
            clauses.append(len(words))
    if words:
        yield Sentence(tuple(words), tuple(clauses), False)


def _words_of(core: str) -> list[str]:
    if _IDENTIFIER.search(core):
        return _words_for_code(core)
    plain = core.lower().replace("\u0451", "\u0435")  # ё is written е as often as not
    for contraction, words in _CONTRACTIONS:
        plain = plain.replace(contraction, words)
    return plain.replace("-", " ").split()


def _words_for_code(code: str) -> list[str]:
    if code.lower().endswith(".md"):
        # What a document is called says what it is about.
        return ["§md", *_NOT_LETTERS.split(code[:-3].lower())]
    return ["§error" if _ERROR_NAME.search(code[:_MAX_NAME_LENGTH]) else "§"]
