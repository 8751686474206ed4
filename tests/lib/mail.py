"""Mail for scene tests: the real messages of tests/data, the whole corpus where it is, odd ones."""
import os
import pathlib
import re
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data" / "mail.mbox"


def corpus_file():
    """The archive of 3,000 messages beside the checkout (or POSTERN_CORPUS), or None."""
    named = os.environ.get("POSTERN_CORPUS")
    path = pathlib.Path(named) if named else (
        HERE.parents[2] / "shared" / "corpus" / "real-mail.tar.xz")
    return path if path.is_file() else None


def small():
    """The messages of tests/data, as they were before they went into the mbox."""
    return split_mbox(DATA.read_bytes())


def corpus():
    """All messages of the corpus, in the order of their file names."""
    messages = []
    with tarfile.open(corpus_file()) as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda m: m.name)
        for member in members:
            octets = archive.extractfile(member).read()
            # a leading mbox line is not part of the message
            messages.append(octets.split(b"\n", 1)[1] if octets.startswith(b"From ") else octets)
    return messages


def odd():
    """Messages that servers stumble over, line ends as given."""
    return [
        b"Subject: no body\n",
        b"Subject: no final line end\n\nlast line",
        b"\nno header at all\n",
        b"Subject: dots\n\n.\n..\n...\n.a\n\n.\n",
        b".starts with a dot\n\n.\n",
        b"Subject: stray CR\n\nhere\rthere\r\r\nand\r\n\r\rend\r",
        b"Subject: CRLF\r\n\r\none\r\n.\r\ntwo\r\n",
        b"Subject: mixed\r\n\r\none\ntwo\r\nthree\n",
        b"Subject: NUL\n\na\0b\n\0\n",
        b"Subject: 8 bit \xe4\xf6\xfc\xff\n\n\x80\x81\xfe\xff\n",
        b"Subject: long line\n\n" + b"x" * 200000 + b"\n.\n" + b"." * 70000 + b"\n",
        b"Subject: empty lines\n\n" + b"\n" * 5000,
        b"Subject: dots at every place of a buffer\n\n" + b".\n" * 40000,
        b"Subject: From line\n\nFrom here it goes on\n>From there\n>>From afar\n",
        b"Subject: looks like the end\n\n.\r\n\r\n.\r\n-ERR no\n+OK\n",
        b"Subject: CR before dots\n\na\r.\nb\r\r\n.\r\n",
        b"\n",
    ]


def wire(message):
    """The form in which it is stored and sent: a bare LF becomes CRLF, the last line is ended."""
    out = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    return out if out.endswith(b"\r\n") else out + b"\r\n"


def split_mbox(octets):
    """The messages of an mboxrd."""
    parts = re.split(rb"(?m)^From [^\n]*\n", octets)
    check_first = parts.pop(0)
    if check_first:
        raise ValueError("the mbox does not begin with a From line")
    messages = []
    for part in parts:
        if part.endswith(b"\n\n"):
            part = part[:-1]  # the empty line belongs to the mbox
        messages.append(re.sub(rb"(?m)^>(>*From )", rb"\1", part))
    return messages


def write_mbox(path, messages):
    with open(path, "wb") as file:
        for message in messages:
            quoted = re.sub(rb"(?m)^(>*From )", rb">\1", message)
            end = b"\n" if message.endswith(b"\n") else b"\n\n"
            file.write(b"From nobody@example.org Thu Aug 22 12:00:00 2002\n" + quoted + end)


def write_maildir(path, messages):
    """A Maildir with the messages in cur/, names in order, so that an import keeps the order."""
    path = pathlib.Path(path)
    for folder in ("cur", "new", "tmp"):
        (path / folder).mkdir(parents=True)
    for number, message in enumerate(messages, 1):
        name = f"{1030000000 + number}.M{number:06d}P1.example:2,"
        (path / "cur" / name).write_bytes(message)
    return path


def first_difference(found, expected):
    """Where two octet strings part, for a person."""
    if found == expected:
        return "equal"
    end = min(len(found), len(expected))
    at = next((i for i in range(end) if found[i] != expected[i]), end)
    here = slice(max(0, at - 30), at + 30)
    return (f"{len(found)} octets found, {len(expected)} expected; from octet {at}: "
            f"{found[here]!r}, expected {expected[here]!r}")
