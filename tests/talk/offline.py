"""posternctl --offline: commands on an instance whose server is stopped."""
import contextlib
import os
import signal
import subprocess

from server import Server, check, eq, wait_until

USER, PASSWORD = "ann@example.org", "secret"


def offline(postern, *words, **more):
    return postern.ctl("--offline", "--modules", postern.module_directory, *words, **more)


def test_accounts_and_mail_without_a_server():
    with Server() as postern:
        offline(postern, "account", "add", USER, input=PASSWORD + "\n")
        rows = offline(postern, "account", "list", json_output=True)
        check(USER in str(rows), rows)
        offline(postern, "mailbox", "deliver", USER, input="Subject: one\r\n\r\nbody\r\n")
        eq(offline(postern, "nonsense", fails=True).returncode, 2)
        check(offline(postern, "account", "add", USER, input="x\n", fails=True).returncode == 1)
        said = offline(postern, "status", fails=True).stderr
        check("status needs the running server" in said, said)
        postern.start()
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            eq(pop.multi("RETR 1"), b"Subject: one\r\n\r\nbody\r\n")
        result = offline(postern, "account", "list", fails=True)
        check("running" in result.stderr and "--offline" in result.stderr, result.stderr)
        postern.stop()
        check(USER in offline(postern, "account", "list"))


def test_a_wrong_configuration_is_told():
    with Server() as postern:
        postern.write_config("modules:\n  pop3:\n    idle_timeuot: 10m\n")
        result = offline(postern, "account", "list", fails=True)
        check("postern.yaml:3" in result.stderr and "idle_timeout" in result.stderr, result.stderr)


def with_mail(postern, *texts):
    postern.start()
    postern.add_account(USER, PASSWORD)
    for text in texts:
        postern.deliver(USER, text)
    postern.stop()


def rebuild(postern, **more):
    """posternctl --offline storage rebuild-index, under way."""
    words = [str(postern.control), "--directory", str(postern.directory), "--offline", "--modules",
             postern.module_directory, "--json", "storage", "rebuild-index"]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **more)


def expect_mail(postern, *texts):
    """All is served, and a check finds nothing."""
    postern.start()
    with postern.pop3() as pop:
        pop.login(USER, PASSWORD)
        eq([pop.multi(f"RETR {line.split()[0]}") for line in pop.lines("LIST")],
           [text.encode() for text in texts], "the mail")
        pop.quit()
    eq(postern.ctl("storage", "check", json_output=True)["faults"], 0, "faults")


TEXTS = [f"Subject: {number}\r\n\r\nbody\r\n" for number in range(3)]


def test_the_index_is_made_anew_at_once():
    with Server() as postern:
        with_mail(postern, *TEXTS)
        store = postern.directory / "state" / "storage"
        before = (store / "index" / "data.mdb").stat().st_ino
        process = rebuild(postern)
        said, told = process.communicate(timeout=60)
        eq(process.returncode, 0, f"exit status ({told})")
        check('"made anew from the segments"' in said, said)
        check("making the index anew" in told, told)
        check(before != (store / "index" / "data.mdb").stat().st_ino, "it is the old index")
        eq((store / "index.damaged" / "data.mdb").stat().st_ino, before, "the old index")
        check(not (store / "index" / "rebuild").exists(), "it is still asked for")
        expect_mail(postern, *TEXTS)
        facts = postern.ctl("status", json_output=True)["facts"]
        check("storage.index" not in facts, facts)


def test_why_the_index_is_not_made_anew():
    """What is in the way is told; with that out of the way the next start does what was asked for."""
    with Server() as postern:
        large = "Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 60000
        with_mail(postern, TEXTS[0], large)
        segments = postern.directory / "state" / "storage" / "segments"
        segment = max(segments.glob("*.seg"), key=lambda path: path.stat().st_blocks)
        aside = segments.parent / "aside"
        segment.rename(aside)
        segment.mkdir()
        segment.chmod(0o755)
        process = rebuild(postern)
        said, told = process.communicate(timeout=60)
        check(process.returncode != 0, f"it succeeded: {said}")
        eq(said, "", "the answer")
        check(f"{segment}: Is a directory" in told, told)
        segment.rmdir()
        aside.rename(segment)
        expect_mail(postern, TEXTS[0], large)
        facts = postern.ctl("status", json_output=True)["facts"]
        check("made anew" in facts.get("storage.index", ""), facts)


def test_making_the_index_anew_is_interrupted():
    """At any moment, by a person or for good: the next start goes on."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with Server() as postern:
            with_mail(postern, *TEXTS)
            store = postern.directory / "state" / "storage"
            process = rebuild(postern, start_new_session=True)
            wait_until(lambda: (store / "index.damaged").exists() or process.poll() is not None,
                       30, "the beginning")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            process.communicate(timeout=60)
            wait_until(lambda: not postern.processes(), 10, "the end")
            expect_mail(postern, *TEXTS)
