"""Texts that have broken other programs: for every field of every request, in tests that expect nothing to break."""

from __future__ import annotations

from itertools import product

_QUOTES = ("'", '"', "`", "')", "'))", '")', "\\'", "%27", "\u2019", "''", "]", "$$")
_CLAUSES = (
    " OR 1=1",
    " OR 'a'='a",
    " UNION SELECT NULL",
    " UNION ALL SELECT owner_id, session_id FROM sessions",
    "; DROP TABLE sessions",
    "; DELETE FROM session_events",
    "; SELECT pg_sleep(30)",
    " AND 1=(SELECT COUNT(*) FROM sqlite_master)",
    " AND randomblob(100000000)",
    " RETURNING *",
    " || (SELECT version()) || ",
    " ORDER BY 99",
)
_ENDS = ("--", "/*")
INJECTIONS = (
    *(quote + clause + end for quote, clause, end in product(_QUOTES, _CLAUSES, _ENDS[:1])),
    *(quote + clause + end for quote, clause, end in product(_QUOTES[:4], _CLAUSES, _ENDS[1:])),
    *("%", "_", "%_%", "\\", "\\%", "[a-z]", "*", "?", ":owner", ":session", "$1", "?1", "@p", "%s", "%(owner)s"),
    *("{0}", "{owner.__class__}", "${jndi:ldap://x}", "{{7*7}}", "NULL", "null", "None", "0", "-1", "1e309", "NaN"),
)
"""Endings of statements, placeholders and patterns: about 220."""

DEEP_JSON = "[" * 200_000 + "]" * 200_000
JSON_TEXTS = (
    *("{}", "[]", "null", "1", '""', "{", "}", '{"a":}', "{'a':1}", "[1,]", "01", "+1", ".5", "NaN", "Infinity"),
    *("-Infinity", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', "1e400", "-1e400", "1e-400"),
    *("9" * 5000, "[" + "9" * 5000 + "]", '{"a": ' + "9" * 400 + "}", "0." + "3" * 5000, '{"a": 1e999999999}'),
    *(DEEP_JSON, DEEP_JSON[:200_000], '{"a":' * 65 + "1" + "}" * 65, '{"a":' * 64 + "1" + "}" * 64),
    *('"\\ud800"', '{"\\udfff": 1}', '"\\u0000"', '{"type": "object", "properties": {"a": {"$ref": "#"}}}'),
    *('{"type": ["object", 5]}', '{"pattern": "(\\\\w+\\\\s?)*$"}', '{"enum": []}', '{"$ref": "http://127.0.0.1:1/"}'),
    *("\ufeff{}", "{}\x00", "// no", "```json\n{}\n```", "[" + "1," * 100_000 + "1]"),
)

TEXTS = (
    *("", " ", "\t\n", "a", "\x00", "a\x00b", "\x1b[31m", "\r\nforged: 1", "\u202e\u2066\ufeff", "👩‍👩‍👧" * 50),
    *("\u0301" * 1000, "İ" * 300, "ﷺ" * 500, "\U0010ffff", "\ufffe\uffff", "\u2028\u2029\u0085"),
    *("../../etc/passwd", "C:\\x", "a/b", "//", ".", "..", "~", "file:///etc/passwd", "universal", "orchestrator"),
    *("x" * 64, "x" * 65, "x" * 128, "x" * 129, "x" * 257, "x" * 501, "x" * 2001, "x" * 4001, "x" * 70_000),
    *("x" * 262_144, "x" * 262_145, "ж" * 131_072, "x" * 1_048_577),
)
