"""Which agent a request is for, by its words alone: the fallback for when no model can, or could, say so.

Every agent's words have weights, and whole words or Russian stems count, never parts of words: "inspect" is not "spec".
What a sentence commands or asks counts most; code, paths and identifiers are not prose and count nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.domain.policies.routing_lexicon import (
    COMMANDS,
    CUES,
    DETERMINERS,
    GREETINGS,
    LEADING_WORDS,
    NEVER_COMMANDS,
    PREPOSITIONS,
    QUESTION_WORDS,
    REQUEST_WORDS,
)
from services.domain.policies.sentences import Sentence, sentences_of

# Equal scores go to the first: fixing "the bug" is as much debug's as coder's, but only coder may change files.
ROUTABLE_AGENTS = ("coder", "debug", "architect", "ask")

MAX_CHARACTERS = 20_000

_QUESTION = 3
_QUESTION_MARK = 2
_UNKNOWN_COMMAND = 1
_LESS_IF_LATER = 2
_MAX_LEADING_WORDS = 8
_RUSSIAN_IMPERATIVE = re.compile(r"[а-я]{2,}(?:[аяую]й|[йь]те|ите|ись|йся|ься|[иь])")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class KeywordRoute:
    """The agent with the highest score, and the scores of all four."""

    agent: str
    scores: Mapping[str, int]


def route_by_keywords(text: str) -> KeywordRoute | None:
    """The agent whose words the request uses most, or None if it uses nobody's.

    Looks at the first 20,000 characters, in time linear in them; an entry counts once, however often it is met.
    """
    heard: dict[tuple[str, str], int] = {}
    for sentence in sentences_of(text[:MAX_CHARACTERS]):
        for agent, entry, weight in _heard_in(sentence):
            heard[agent, entry] = max(weight, heard.get((agent, entry), 0))
    if not heard:
        return None
    scores = dict.fromkeys(ROUTABLE_AGENTS, 0)
    for (agent, _), weight in heard.items():
        scores[agent] += weight
    return KeywordRoute(max(ROUTABLE_AGENTS, key=scores.__getitem__), scores)


def _heard_in(sentence: Sentence) -> Iterator[tuple[str, str, int]]:
    """(agent, entry, weight) of everything the sentence says."""
    words = sentence.words
    known = set()
    for position in range(len(words)):
        for cue in _cues.met_at(words, position):
            known.add(position)
            yield cue
    is_plain = True
    for clause in sentence.clauses:
        is_first = clause == 0
        if (is_first or sentence.is_question) and _asks(words, _skip(words, clause, GREETINGS)):
            is_plain = False
            yield "ask", "(a question)", _QUESTION
            continue
        start = _skip(words, clause, LEADING_WORDS)
        met = list(_commands.met_at(words, start))
        for agent, entry, weight in met:
            is_plain = False
            yield agent, entry, weight if is_first else max(1, weight - _LESS_IF_LATER)
        if not met and start not in known and _commands_something(words, start):
            yield "coder", "(a command)", _UNKNOWN_COMMAND
    if is_plain and sentence.is_question and len(words) > 1:
        yield "ask", "(a question mark)", _QUESTION_MARK


def _asks(words: tuple[str, ...], start: int) -> bool:
    """Whether a question begins here, and not a request in the form of one ("can you add")."""
    opening = words[start : start + 2]
    if not opening:
        return False
    if opening[0] in PREPOSITIONS:
        return opening[-1] in QUESTION_WORDS
    return "ли" in opening or (opening[0] in QUESTION_WORDS and not (opening[0] in REQUEST_WORDS and "you" in opening))


def _commands_something(words: tuple[str, ...], start: int) -> bool:
    """Whether the word here has the place, or the form, of a command, though its meaning is unknown."""
    verb, *following = words[start : start + 2] or ("",)
    if verb in NEVER_COMMANDS:
        return False
    in_english = following != [] and following[0] in DETERMINERS and not verb.endswith(("ing", "s", "ed"))
    return in_english or _RUSSIAN_IMPERATIVE.fullmatch(verb) is not None


def _skip(words: tuple[str, ...], start: int, skipped: frozenset[str]) -> int:
    end = min(len(words), start + _MAX_LEADING_WORDS)
    while start < end and words[start] in skipped:
        start += 1
    return start


class _Lexicon:
    """Finds the entries that begin at a word: those under the word itself and those under each of its stems."""

    def __init__(self, entries: Mapping[str, Mapping[int, str]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], str, int]]] = {}
        for agent, weighed in entries.items():
            for weight, listed in weighed.items():
                for entry in listed.split(","):
                    pattern = tuple(entry.split())
                    self._by_first.setdefault(pattern[0], []).append((pattern, agent, weight))
        self._stem_lengths = sorted({len(first) - 1 for first in self._by_first if first.endswith("*")})

    def met_at(self, words: tuple[str, ...], position: int) -> Iterator[tuple[str, str, int]]:
        """(agent, entry, weight) of every entry that the words from this position on begin with."""
        if position >= len(words):
            return
        word = words[position]
        for first in (word, *(word[:length] + "*" for length in self._stem_lengths if length <= len(word))):
            for pattern, agent, weight in self._by_first.get(first, ()):
                following = words[position + 1 : position + len(pattern)]
                if len(following) == len(pattern) - 1 and all(map(_fits, pattern[1:], following)):
                    yield agent, " ".join(pattern), weight


def _fits(entry_word: str, word: str) -> bool:
    return word.startswith(entry_word[:-1]) if entry_word.endswith("*") else word == entry_word


_commands = _Lexicon(COMMANDS)
_cues = _Lexicon(CUES)
