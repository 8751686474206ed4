"""posternctl against a scripted server: what it sends, what it shows, how it fails."""
import base64
import json
import os
import pathlib
import pty
import select
import subprocess
import tempfile

from scripted import TABLE, Scripted
from server import SLOW, Build, check, eq

DONE = [{"ok": True, "result": None}]


def request(ctl, n=0):
    return ctl.requests[n][0]


def test_arguments_reach_the_server():
    with Scripted({"account list": DONE, "account add": DONE}) as ctl:
        ctl.ok("account", "list", "--domain", "example.org", "--disabled")
        eq(request(ctl), {"version": 1, "command": "account list",
                          "args": {"domain": "example.org", "disabled": True}})
        ctl.ok("account", "list", "--domain=a=b")
        eq(request(ctl, 1)["args"], {"domain": "a=b"})
        ctl.ok("account", "add", "ann", "3", input=b"two words \nrest\n")
        eq(request(ctl, 2)["args"], {"user": "ann", "limit": "3", "password": "two words "})
        ctl.ok("account", "add", "--", "--ann", input=b"x\r\n")
        eq(request(ctl, 3)["args"], {"user": "--ann", "password": "x"})


def test_files_travel_as_descriptors():
    with Scripted({"mailbox deliver": DONE, "mailbox import": DONE}) as ctl:
        message = os.urandom(300000)
        ctl.ok("mailbox", "deliver", "ann", input=message)
        eq(ctl.requests[0][0]["files"], ["message"])
        check(ctl.requests[0][1] == [message], "standard input arrives as it is")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"From x\n")
            file.flush()
            ctl.ok("mailbox", "import", "ann", file.name)
        eq(ctl.requests[1][0]["files"], ["path"])
        eq(ctl.requests[1][1], [b"From x\n"])
        ctl.ok("mailbox", "import", "ann", "-", input=b"From y\n")
        eq(ctl.requests[2][1], [b"From y\n"])
        text = ctl.fails(1, "mailbox", "import", "ann", "/nowhere/at/all")
        check("/nowhere/at/all: No such file" in text, text)
        eq(len(ctl.requests), 3)


def test_longest_name_wins():
    with Scripted({"mailbox": DONE, "mailbox fetch": DONE}) as ctl:
        ctl.ok("mailbox")
        ctl.ok("mailbox", "fetch", "ann", "1")
        eq([r["command"] for r, _ in ctl.requests], ["mailbox", "mailbox fetch"])


def test_usage_errors():
    with Scripted() as ctl:
        for words, said in (
                ((), "usage: posternctl"),
                (("statsu",), 'did you mean "status"'),
                (("acount", "add", "x"), 'did you mean "account add"'),
                (("account", "ad", "x"), 'did you mean "account add"'),
                (("acount",), 'did you mean "account"'),
                (("account", "zzzzzzz"), "account add USER [LIMIT]"),
                (("account",), "account add USER [LIMIT]"),
                (("zzzzzzzzzz",), "posternctl help"),
                (("account", "add"), "user is missing"),
                (("account", "add", "a", "b"), "limit has to be a number"),
                (("account", "add", "a", "1", "b"), "one word too many"),
                (("account", "list", "--domian", "x"), "did you mean --domain"),
                (("account", "list", "--zzzzzz"), "there is no option --zzzzzz"),
                (("account", "list", "--domain"), "--domain needs a value"),
                (("account", "list", "--disabled=yes"), "there is no option"),
                (("--bad", "status"), "there is no option --bad"),
                (("--socket",), "--socket needs a value"),
                (("help", "statsu"), 'did you mean "status"'),
                (("completion", "fish"), "completion bash")):
            text = ctl.fails(2, *words)
            check(said in text, f"{words}: {text}")
        eq(ctl.requests, [])


def test_secrets():
    with Scripted({"account add": DONE}) as ctl:
        check("empty" in ctl.fails(1, "account", "add", "ann", input=b"\n"))
        check("empty" in ctl.fails(1, "account", "add", "ann", input=b""))
        check("too long" in ctl.fails(1, "account", "add", "ann", input=b"x" * 2000))
        check("NUL" in ctl.fails(1, "account", "add", "ann", input=b"a\0b\n"))
        check("UTF-8" in ctl.fails(2, "account", "add", "ann", input=b"\xff\xfe\n"))
        eq(ctl.requests, [])


def on_terminal(ctl, typed, *words):
    """Run on a terminal of its own; (exit status, what the terminal showed)."""
    master, slave = pty.openpty()
    line = [str(Build().program("posternctl")), "--directory", str(ctl.directory), *words]
    process = subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, close_fds=True,
                               start_new_session=True)
    os.close(slave)
    shown = b""
    try:
        while select.select([master], [], [], 20 * SLOW)[0]:
            try:
                octets = os.read(master, 4096)
            except OSError:
                break
            if not octets:
                break
            shown += octets
            if typed and shown.endswith(b": "):
                os.write(master, typed.pop(0))
    finally:
        os.close(master)
        status = process.wait(20 * SLOW)
    return status, shown.decode()


def test_secrets_on_a_terminal():
    with Scripted({"account add": DONE}) as ctl:
        status, shown = on_terminal(ctl, [b"hidden\n", b"hidden\n"], "account", "add", "ann")
        eq(status, 0)
        eq(request(ctl)["args"]["password"], "hidden")
        check("hidden" not in shown, shown)
        check("password: " in shown and "password again: " in shown, shown)
        status, shown = on_terminal(ctl, [b"one\n", b"two\n"], "account", "add", "ann")
        eq(status, 1)
        check("not the same" in shown, shown)
        eq(len(ctl.requests), 1)


def test_objects_and_tables():
    rows = [{"user": "ann@example.org", "messages": 5, "enabled": True},
            {"user": "böb", "messages": 12345, "enabled": False},
            {"user": "evil\x1b[2J\n", "messages": None, "other": 1},
            {"user": "x", "messages": 1, "enabled": ""}]
    state = {"state": "current", "uptime_seconds": 12, "ratio": 0.5, "nothing": None,
             "listeners": [{"address": "127.0.0.1:110", "sessions": 3}], "empty": [],
             "names": ["a", "b"]}
    with Scripted({"account list": [{"ok": True, "result": rows}],
                   "status": [{"ok": True, "result": state}]}) as ctl:
        eq(ctl.ok("account", "list"),
           "USER             MESSAGES  ENABLED\n"
           "ann@example.org         5  yes\n"
           "böb                 12345  no\n"
           "evil\\x1b[2J\\x0a         -  -\n"
           "x                       1\n")
        eq(ctl.ok("status"),
           "state:          current\n"
           "uptime_seconds: 12\n"
           "ratio:          0.5\n"
           "nothing:        -\n"
           "listeners:\n"
           "  ADDRESS        SESSIONS\n"
           "  127.0.0.1:110         3\n"
           "empty:          -\n"
           "names:\n"
           "  a\n"
           "  b\n")
        eq(json.loads(ctl.ok("--json", "account", "list")), rows)
        eq(json.loads(ctl.ok("status", "--json")), state)


def test_texts_and_nothing():
    answers = {"status": [{"ok": True, "result": "one\ntwo\n"}], "mailbox": DONE}
    with Scripted(answers) as ctl:
        eq(ctl.ok("status"), "one\ntwo\n")
        eq(ctl.ok("mailbox"), "")
        eq(ctl.ok("--json", "mailbox"), "null\n")


def test_bytes_come_raw():
    octets = bytes(range(256)) * 300 + b"\r\n"
    half = len(octets) // 2
    lines = [{"bytes": base64.b64encode(part).decode()} for part in (octets[:half], octets[half:])]
    with Scripted({"mailbox fetch": lines + DONE}) as ctl:
        result = ctl.ctl("mailbox", "fetch", "ann", "1")
        eq(result.returncode, 0)
        check(result.stdout == octets, "octets arrive as they are")


def test_progress_and_notes():
    lines = [{"progress": {"done": 1, "total": 4, "unit": "messages"}}, {"note": "one was odd"},
             {"progress": {"done": 4, "total": 4, "unit": "messages"}},
             {"ok": True, "result": {"messages": 4}}]
    with Scripted({"mailbox import": lines}) as ctl:
        result = ctl.ctl("mailbox", "import", "ann", "-")
        eq(result.stdout, b"messages: 4\n")
        eq(result.stderr, b"posternctl: one was odd\n")
        status, shown = on_terminal(ctl, [], "mailbox", "import", "ann", "/dev/null")
        eq(status, 0)
        check("1 of 4 messages (25%)" in shown, shown)


def test_failures():
    answers = {
        "status": [{"ok": False, "error": "the disk is full: make room"}],
        "generations": b"",
        "mailbox": b"{\"ok\":tru\n",
        "account list": b"[1]\n",
        "sessions": DONE,
    }
    with Scripted(answers) as ctl:
        eq(ctl.fails(1, "status"), "posternctl: the disk is full: make room\n")
        check("went away" in ctl.fails(os.EX_TEMPFAIL, "generations"))
        check("not understood" in ctl.fails(os.EX_TEMPFAIL, "mailbox"))
        check("not understood" in ctl.fails(os.EX_TEMPFAIL, "account", "list"))
        check("went away" in ctl.fails(os.EX_TEMPFAIL, "sessions"))
        eq(ctl.ctl("--json", "status").stdout, b"")


def test_exit_statuses():
    """What a failure is of, in the terms of sysexits.h."""
    statuses = {"not-found": os.EX_NOUSER, "invalid": os.EX_DATAERR, "too-large": os.EX_DATAERR,
                "denied": os.EX_TEMPFAIL, "busy": os.EX_TEMPFAIL, "full": os.EX_TEMPFAIL,
                "temporary": os.EX_TEMPFAIL, "damaged": os.EX_TEMPFAIL,
                "no-memory": os.EX_TEMPFAIL, "cancelled": os.EX_TEMPFAIL, "quota": os.EX_TEMPFAIL,
                "exists": 1, "gone": 1, "of a later server": 1, "": 1, 7: 1, None: 1}
    for word, status in statuses.items():
        answer = {"ok": False, "error": "why", "status": word}
        with Scripted({"status": [answer], "generations": [{"ok": True, "result": [{
                "generation": 7}]}], "sessions": [answer]}) as ctl:
            eq(ctl.fails(status, "status"), "posternctl: why\n")
            eq(ctl.fails(status, "sessions"), "posternctl: why\n")


def test_a_table_that_is_not_whole():
    """A command that is not in it may be a module's, which does not answer at the moment."""
    table = [{"name": "reload", "help": "Reload", "args": []}]
    with Scripted({"help": [{"note": "no worker serves"},
                            {"ok": True, "result": table, "status": "temporary"}]}) as ctl:
        for words in (("mailbox", "deliver", "ann"), ("relaod",)):
            said = ctl.fails(os.EX_TEMPFAIL, *words)
            check("no worker serves" in said and "try again later" in said, said)
        check("reload" in ctl.ok("help"), "what is known")
        ctl.fails(os.EX_TEMPFAIL, "help", "mailbox")


def test_every_generation_is_asked():
    def sessions(asked):
        n = asked["generation"]
        if n == 9:
            return [{"ok": False, "error": "generation 9 has ended"}]
        return [{"ok": True, "result": [{"id": f"s{n}", "user": "ann"}] * (n - 6)}]

    live = [{"generation": 7, "state": "draining"}, {"generation": 8, "state": "current"}]
    answers = {"generations": [{"ok": True, "result": live}], "sessions": sessions}
    with Scripted(answers) as ctl:
        eq(ctl.ok("sessions"),
           "GENERATION  ID  USER\n"
           "         7  s7  ann\n"
           "         8  s8  ann\n"
           "         8  s8  ann\n")
        live.append({"generation": 9})
        check("generation 9 has ended" in ctl.fails(1, "sessions"))
        rows = json.loads(ctl.ctl("--json", "sessions").stdout)
        eq([row["generation"] for row in rows], [7, 8, 8])


def test_help():
    with Scripted() as ctl:
        text = ctl.ok("help")
        for row in TABLE:
            check(f"  {row['name']} " in text and row["help"] in text, text)
        text = ctl.ok("help", "account", "add")
        check(text.startswith("posternctl account add USER [LIMIT]\n\nMake an account.\n"), text)
        check("Its password. (asked for, or one line of standard input)" in text, text)
        eq(ctl.ok("account", "add", "--help"), text)
        check("mailbox deliver USER < message" in ctl.ok("help", "mailbox", "deliver"))
        check(ctl.ok("--help").startswith("usage: posternctl"))
        check(ctl.ok("--version").startswith("postern "))


def complete(script, *words):
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in ("posternctl",) + words)
    code = (f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}\n_posternctl\n"
            "printf '%s\\n' \"${COMPREPLY[@]}\"")
    result = subprocess.run(["bash", "--norc", "-c", code], stdout=subprocess.PIPE, check=True,
                            text=True, cwd="/")
    return sorted(set(result.stdout.split()))


def test_completion():
    with Scripted() as ctl:
        script = ctl.ok("completion", "bash")
    eq(complete(script, "acc"), ["account"])
    eq(complete(script, "account", ""), ["add", "list"])
    eq(complete(script, "account", "list", "--d"), ["--disabled", "--domain"])
    eq(complete(script, "--directory", "/x", "mailbox", "f"), ["fetch"])
    eq(complete(script, "--js"), ["--json"])


def test_no_server():
    with tempfile.TemporaryDirectory() as place, Scripted() as ctl:
        text = ctl.fails(os.EX_TEMPFAIL, "--directory", place, "status", directory=False)
        check("not running" in text and f"posternd --directory {place}" in text
              and "--offline" in text, text)
        text = ctl.fails(os.EX_TEMPFAIL, "--socket", f"{place}/none", "status", directory=False)
        check(f"{place}/none" in text, text)
        text = ctl.fails(os.EX_TEMPFAIL, "status", directory=False, environment={"POSTERN_DIRECTORY": place})
        check(f"{place}/run/control.sock" in text, text)


def test_found_through_the_environment():
    with Scripted({"status": DONE}) as ctl:
        ctl.ok("status", directory=False, environment={"POSTERN_DIRECTORY": str(ctl.directory)})
        ctl.ok("--socket", ctl.directory / "run" / "control.sock", "status", directory=False)
        far = pathlib.Path(tempfile.mkdtemp()) / ("d" * 120)
        far.symlink_to(ctl.directory)
        ctl.ok("--directory", far, "status", directory=False)
        far.unlink()
        far.parent.rmdir()
        eq(len(ctl.requests), 3)


def test_output_that_cannot_be_written():
    with Scripted({"status": [{"ok": True, "result": {"a": 1}}]}) as ctl:
        with open("/dev/full", "wb") as full:
            line = [str(Build().program("posternctl")), "--directory", str(ctl.directory), "status"]
            result = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, timeout=30 * SLOW)
        eq(result.returncode, 1)
        check(b"cannot write" in result.stderr, result.stderr)
