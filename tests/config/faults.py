"""Faults of every kind, planted into a good configuration: deterministic, each with its line.

plant(seed) returns the files and, for each fault, the file, the line and what the report about it
has to contain. A fault is a function that changes one line (or adds one) at a place that suits it.
"""
import random
import re

BASE = """\
# a configuration with something of everything
server:
  user: {user}
  max_sessions: 5000
  ready_deadline: 15s
  output_limit: 128KiB
  reactors:
    min: 1
    max: 2
  job_threads: {{min: 2, max: 4}}
  control:
    group: ""

include: [more.yaml]

modules:
  provider: {{}}
  second:
    file: provider.so
  unmet_need:
    uses:
      test.store: provider
  older:
    count: 3
    text: "some text"

  good:
    loud: no               # a comment
    repeat: 3
    room: 8KiB
    patience: 5m
    greeting: "hello, stranger"
    directory: '{{state}}/notes'
    peer: "127.0.0.1:7"
    mood: cheerful
    marks:
      low: 1
      high: 9
    words: [one, "two", three]
    limits:
      - network: 10.0.0.0/8
        sessions: 5
      - {{network: 192.168.0.0/16, sessions: 2}}
      - 172.16.0.0/12
    listeners:
      - 127.0.0.1:7001
      - {{address: "[::1]:7001", backlog: 64}}
  twin:
    file: good.so
    listeners: ["127.0.0.1:7002"]
    repeat: 2
    marks: {{low: 3}}
"""

MORE = """\
modules:
  third:
    file: good.so
    listeners: ["127.0.0.1:7003"]
    patience: 2h
    mood: grumpy
    words:
      - alpha
      - beta
    marks:
      low: 4
"""

# option: values that its row refuses, and what the report says of each
BAD_VALUES = {
    "max_sessions": [("many", "expected a whole number"), ("-1", "from 0 to"), ("1.5", "1.5")],
    "ready_deadline": [("15", "a unit is missing"), ("2d", "from 1s to 1h")],
    "output_limit": [("128 boxes", "expected a size"), ("1B", "from 16KiB")],
    "loud": [("perhaps", "true or false"), ("2", "true or false")],
    "repeat": [("99", "from 1 to 5"), ("three", "whole number"), ("-1", "from 1 to 5")],
    "room": [("8XB", "expected a size"), ("2GiB", "from 512 to 1MiB")],
    "patience": [("300", "a unit is missing"), ("soon", "expected a duration"), ("8d", "to 1d")],
    "directory": [("'{home}/x'", "no directory of an instance")],
    "peer": [("127.0.0.1", "has no port"), ('"::1:7"', "without brackets"),
             ("mail.example.org:7", "not looked up"), ('"127.0.0.1:70000"', "1 to 65535")],
    "mood": [("cheerfull", 'did you mean "cheerful"'), ("bored", "one of calm")],
    "count": [("10", "from 1 to 9"), ("x", "whole number")],
    "low": [("-5", "at least 0"), ("deep", "whole number")],
    "high": [("-5", "at least 0"), ("up", "whole number")],
    "sessions": [("0", "at least 1"), ("no", "whole number")],
    "min": [("x", "whole number")],
}
SCALARS = set(BAD_VALUES) | {"greeting", "text"}


class Document:
    """Lines of a file, each with what is expected to be said of it.

    None: nothing, and a fault may be planted there; "": nothing, because a fault relies on it.
    """

    def __init__(self, name, text):
        self.name = name
        self.lines = [[line, None] for line in text.splitlines()]

    def key_lines(self, keys):
        """Indices of untouched block lines `key: value` with one of these keys."""
        found = []
        for i, (line, said) in enumerate(self.lines):
            match = re.match(r" +(?:- )?([a-z_]+): [^\[{ ]", line)
            if match and match[1] in keys and said is None:
                found.append(i)
        return found

    def find(self, pattern):
        return [i for i, (line, said) in enumerate(self.lines)
                if said is None and re.search(pattern, line)]

    def set(self, i, line, says):
        self.lines[i] = [line, says]

    def insert(self, i, line, says):
        self.lines.insert(i, [line, says])

    def bytes(self):
        return b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line, _ in self.lines)

    def expected(self):
        return [(self.name, i + 1, says) for i, (_, says) in enumerate(self.lines)
                if says]


def _split(line):
    match = re.match(r"( *(?:- )?)([a-z_.]+): ?([^#]*?)( *#.*)?$", line)
    return match[1], match[2], match[3]


def _on_scalar(change):
    """A fault on a block line `key: value` of a scalar option."""
    def fault(document, rng):
        places = document.key_lines(SCALARS)
        if not places:
            return False
        i = rng.choice(places)
        indent, key, value = _split(document.lines[i][0])
        result = change(rng, indent, key, value)
        if result is None:
            return False
        document.set(i, *result)
        return True
    fault.__name__ = change.__name__
    return fault


@_on_scalar
def bad_value(rng, indent, key, value):
    if key not in BAD_VALUES:
        return None
    bad, says = rng.choice(BAD_VALUES[key])
    return f"{indent}{key}: {bad}", says


@_on_scalar
def misspelt_key(rng, indent, key, value):
    at = rng.randrange(len(key) - 1)
    wrong = key[:at] + key[at + 1] + key[at] + key[at + 2:]
    if wrong == key or "- " in indent:
        return None
    return f"{indent}{wrong}: {value}", f'{wrong}: unknown key; did you mean "{key}"?'


@_on_scalar
def no_colon(rng, indent, key, value):
    return (f"{indent}{key} {value}", "colon") if "- " not in indent else None


@_on_scalar
def no_space(rng, indent, key, value):
    quoted = value[0] in "\"'"  # then YAML takes the colon for one all the same
    return (f"{indent}{key}:{value}", "colon") if "- " not in indent and not quoted else None


@_on_scalar
def equals_sign(rng, indent, key, value):
    return (f"{indent}{key} = {value}", "colon") if "- " not in indent else None


@_on_scalar
def open_quote(rng, indent, key, value):
    quote = rng.choice("\"'")
    return f"{indent}{key}: {quote}{value.strip(chr(34) + chr(39))}", "quotation mark"


@_on_scalar
def text_behind_quotes(rng, indent, key, value):
    return f'{indent}{key}: "x" y', "nothing more on this line"


@_on_scalar
def open_bracket(rng, indent, key, value):
    return f"{indent}{key}: [{value}", "is not closed"


@_on_scalar
def open_brace(rng, indent, key, value):
    return f"{indent}{key}: {{a: b", "is not closed"


@_on_scalar
def tab(rng, indent, key, value):
    if "- " in indent:
        return None
    tabbed = "\t" if rng.random() < 0.5 else indent[2:] + "\t"
    return f"{tabbed}{key}: {value}", "a tab in the indentation"


@_on_scalar
def second_colon(rng, indent, key, value):
    return f"{indent}{key}: a: b", 'a second ": "'


@_on_scalar
def reserved_character(rng, indent, key, value):
    return f"{indent}{key}: {rng.choice('@`%')}{value}", "put it in quotes"


@_on_scalar
def anchor(rng, indent, key, value):
    return f"{indent}{key}: &here {value}", "anchor"


@_on_scalar
def alias(rng, indent, key, value):
    return f"{indent}{key}: *there", "alias"


@_on_scalar
def tag(rng, indent, key, value):
    return f"{indent}{key}: !!str {value}", "tag"


@_on_scalar
def no_value(rng, indent, key, value):
    return f"{indent}{key}:", f"{key}: found no value"


@_on_scalar
def list_for_scalar(rng, indent, key, value):
    return f"{indent}{key}: [{value}]", f"{key}: found a list"


@_on_scalar
def mapping_for_scalar(rng, indent, key, value):
    return f"{indent}{key}: {{x: {value}}}", f"{key}: found a mapping"


@_on_scalar
def not_utf8(rng, indent, key, value):
    return f"{indent}{key}: gr\udcfc\udcdf", "is not UTF-8"


@_on_scalar
def nul(rng, indent, key, value):
    return f"{indent}{key}: x\0y", "NUL"


@_on_scalar
def bad_escape(rng, indent, key, value):
    return f'{indent}{key}: "a\\qb"', "escape"


def indentation(document, rng):
    """One space more or less than the lines around it: a line that has a sibling before it."""
    places = [i for i in document.key_lines(SCALARS)
              if i and document.lines[i - 1][1] is None and "- " not in document.lines[i][0]
              and re.match(r" +[a-z]+:? ?[a-z0-9\"']", document.lines[i - 1][0])
              and _indent(document.lines[i - 1][0]) == _indent(document.lines[i][0])]
    if not places:
        return False
    i = rng.choice(places)
    line = document.lines[i][0]
    document.lines[i - 1][1] = ""
    document.set(i, line[1:] if rng.random() < 0.5 else " " + line, "indentation")
    return True


def _indent(line):
    return len(line) - len(line.lstrip(" "))


def duplicate_key(document, rng):
    """The same key once more, directly below."""
    places = [i for i in document.key_lines(SCALARS) if "- " not in document.lines[i][0]]
    if not places:
        return False
    i = rng.choice(places)
    _, key, _ = _split(document.lines[i][0])
    document.lines[i][1] = ""
    document.insert(i + 1, document.lines[i][0], f"{key} is set here and in line")
    return True


def key_of_server(document, rng):
    places = document.find(r"^    (repeat|patience|mood|room): ")
    if not places or any("max_sessions: 7" in line for line, _ in document.lines):
        return False
    document.insert(rng.choice(places), "    max_sessions: 7", "there is server.max_sessions")
    return True


def stray_text(document, rng):
    places = [i for i in document.key_lines(SCALARS - {"greeting"})
              if "- " not in document.lines[i][0]]
    if not places:
        return False
    i = rng.choice(places)
    if i + 1 < len(document.lines) and _indent(document.lines[i + 1][0]) > _indent(
            document.lines[i][0]):
        return False
    document.lines[i][1] = ""
    document.insert(i + 1, " " * _indent(document.lines[i][0]) + "oops", "colon")
    return True


def _replace(pattern, replacement, says):
    def fault(document, rng):
        places = document.find(pattern)
        if not places:
            return False
        i = rng.choice(places)
        document.set(i, re.sub(pattern, lambda match: match.expand(replacement),
                               document.lines[i][0]), says)
        return True
    fault.__name__ = "replace " + pattern
    return fault


def overlap(document, rng):
    first, second = document.find(r"- 127.0.0.1:7001"), document.find(r"127.0.0.1:7002")
    if not first or not second:
        return False
    document.lines[first[0]][1] = ""
    line = document.lines[second[0]][0]
    document.set(second[0], line.replace("127.0.0.1:7002", "0.0.0.0:7001"), "cannot be bound")
    return True


FAULTS = [bad_value, bad_value, bad_value, misspelt_key, misspelt_key, no_colon, no_space,
          equals_sign, open_quote, text_behind_quotes, open_bracket, open_brace, tab, second_colon,
          reserved_character, anchor, alias, tag, no_value, list_for_scalar, mapping_for_scalar,
          not_utf8, nul, bad_escape, indentation, duplicate_key, key_of_server, stray_text,
          _replace(r"words: \[one, \"two\", three\]", "words: [one, two", "is not closed"),
          _replace(r"words: \[one.*", "words: one", "expected a list"),
          _replace(r"words: \[one.*", 'words: [one, ""]', "words[1]"),
          _replace(r"words: \[one.*", "words: [one, [two]]", "words[1]: found a list"),
          _replace(r"- \{network: 192.168.0.0/16, ", "- {", "network is missing"),
          _replace(r"sessions: 2\}", "sessions: 2, hours: 3}", "hours: unknown key"),
          _replace(r"- 172.16.0.0/12", "- [a]", "found a list"),
          _replace(r"- 127.0.0.1:7001", '- "127.0.0.1"', "has no port"),
          _replace(r"backlog: 64", "backlog: 0", "from 1 to 65535"),
          overlap,
          _replace(r"listeners: \[\"127.0.0.1:7002\"\]", "listeners: 127.0.0.1:7002",
                   "expected a list"),
          _replace(r"job_threads: .*", "job_threads: {min: 5, max: 4}", "is greater than"),
          _replace(r"job_threads: .*", "job_threads: 4", "expected a mapping"),
          _replace(r"job_threads: .*", "job_threads: {min: 2, max: 4", "is not closed"),
          _replace(r"test.store: provider", "test.stor: provider", 'did you mean "test.store"'),
          _replace(r"test.store: provider", "test.store: provder", 'did you mean "provider"'),
          _replace(r"^  older:", "  oldr:", 'did you mean "older"'),
          _replace(r"^  provider: \{\}", "  provider: {listeners: []}", "serves no clients"),
          _replace(r"^  provider: \{\}", "  provider: {enabled: perhaps}", "true or false"),
          _replace(r"^  provider: \{\}", "  provider: {what: 1}", "unknown key"),
          _replace(r"file: provider.so", "file: wrong_magic.so", "wrong magic number"),
          _replace(r"file: provider.so", "file: newer_minor.so", "upgrade the core"),
          _replace(r"file: provider.so", "file: nothing.so", "no module file"),
          _replace(r"marks: \{low: 3\}", "marks: 3", "expected a mapping"),
          _replace(r"include: \[more.yaml\]", "include: [more.yaml, less.yaml]", "No such file"),
          _replace(r"include: \[more.yaml\]", "include: [more.yaml, {a: b}]",
                   "expected a file name")]


def plant(seed, user):
    """(files: name -> bytes, expected: [(file, line, fragment)]) with one to six faults."""
    rng = random.Random(seed)
    documents = [Document("postern.yaml", BASE.format(user=user)), Document("more.yaml", MORE)]
    wanted, planted, kinds = rng.randint(1, 6), 0, []
    for _ in range(200):
        if planted == wanted:
            break
        document = documents[0] if rng.random() < 0.85 else documents[1]
        fault = rng.choice(FAULTS)
        if fault(document, rng):
            planted += 1
            kinds.append(fault.__name__)
    files = {document.name: document.bytes() for document in documents}
    return files, [row for document in documents for row in document.expected()], kinds
