"""Logs: files that move, levels raised for a while, lines that belong together, files that cannot be."""
import json
import os
import pathlib

from server import Server, check, eq, wait_until

USER, PASSWORD = "ann@example.org", "secret"


def log_in(postern, then="QUIT"):
    with postern.pop3() as pop:
        pop.login(USER, PASSWORD)
        pop.ok(then)


def text_of(path):
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def test_file_is_moved_away():
    """As logrotate does it, with and without a signal to us."""
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        log = postern.directory / "log" / "postern.log"
        for told in (True, False):
            log.rename(log.with_suffix(f".{told}"))
            if told:
                postern.ctl("reopen-logs")

            def begun():
                log_in(postern)
                return "login" in text_of(log)
            wait_until(begun, what="a new file with new lines", step=0.2)


def test_level_for_a_while():
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        log = postern.directory / "log" / "postern.log"
        log_in(postern)
        check(" protocol " not in text_of(log), "no conversation without being asked")
        postern.ctl("log", "level", "pop3", "protocol", "--for", "4s")
        eq(postern.ctl("log", "levels", json_output=True)[0]["level"], "protocol", "level")

        def seen():
            log_in(postern)
            return " protocol pop3 " in text_of(log)
        wait_until(seen, what="a conversation in the log", step=0.3)
        wait_until(lambda: len(postern.ctl("log", "levels", json_output=True)) == 1,
                   what="the end of the raised level")
        lines, logins = (text_of(log).count(word) for word in (" protocol pop3 ", " login "))
        log_in(postern)
        wait_until(lambda: text_of(log).count(" login ") > logins, what="the last login's line")
        eq(text_of(log).count(" protocol pop3 "), lines, "lines of conversations")


def test_json_lines_belong_together():
    files = [{"path": "{log}/all.json", "format": "json"}, {"path": "{log}/bad.log", "level": "warning"}]
    with Server({"logging": {"files": files}}) as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        log_in(postern)
        path = postern.directory / "log" / "all.json"
        wait_until(lambda: '"closed"' in text_of(path) or '"end"' in text_of(path)
                   or text_of(path).count('"session"') >= 2, what="lines of a session")
        events = [json.loads(line) for line in text_of(path).splitlines()]
        logins = [event for event in events if event["event"] == "login"]
        eq(len(logins), 1, "logins")
        check(logins[0]["service"] == "pop3" and logins[0]["session"], str(logins))
        check(all(event["generation"] == 1 for event in events), "generation")
        eq(text_of(postern.directory / "log" / "bad.log").count(" info "), 0, "lines below warning")
        check(not (postern.directory / "log" / "postern.log").exists(), "no file that was not asked for")


def test_nobody_forges_a_line():
    with Server().start() as postern:
        postern.add_account(USER, PASSWORD)
        with postern.pop3() as pop:
            pop.send(b"USER a\x0b\x85\xe2\x80\xa8forged=yes \xff\"\r\n")
            pop.line()
            pop.send(b"PASS x\r\n")
            pop.line()
        log_in(postern)
        log = postern.directory / "log" / "postern.log"
        wait_until(lambda: f"{USER}" in text_of(log), what="the login")
        for line in log.read_bytes().split(b"\n")[:-1]:
            check(line[:2] == b"20" and b" " in line, f"a line of somebody else's: {line!r}")
            check(b"\xff" not in line and b"\xe2\x80\xa8" not in line, f"raw octets: {line!r}")


def test_rotation_by_size():
    files = [{"path": "{log}/small.log", "rotate_size": "2KiB", "rotate_keep": 3}]
    with Server({"logging": {"files": files}}) as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        logs = postern.directory / "log"

        def rotated():
            log_in(postern)
            return (logs / "small.log.3").exists()
        wait_until(rotated, what="three rotated files", seconds=30, step=0.01)
        check(not (logs / "small.log.4").exists(), "a fourth file")
        for number in (1, 2, 3):
            check((logs / f"small.log.{number}").stat().st_size >= 2048, f"small.log.{number} is small")


def test_unwritable_log_refuses_the_start():
    with Server({"logging": {"files": [{"path": "{log}/taken"}]}}) as postern:
        (postern.directory / "log").mkdir(exist_ok=True)
        (postern.directory / "log" / "taken").mkdir()
        result = postern.run()
        check(result.returncode != 0, "started without its log")
        check("taken: cannot be written: Is a directory" in result.stderr, result.stderr)
        os.rmdir(postern.directory / "log" / "taken")
        postern.start()
        postern.conf["modules"]["logging"]["files"].append({"path": "{log}/none/log"})
        postern.write_config()
        said = postern.reload(fails=True)
        check("none/log: cannot be written" in said.stderr + said.stdout, said.stderr)
        postern.add_account(USER, PASSWORD)
        log_in(postern)


def test_syslog_is_away():
    """No syslog daemon is no reason not to start; it is tried again."""
    with Server({"logging": {"syslog": {"enabled": True, "path": "/nonexistent/log"},
                             "files": [{"path": "{log}/postern.log"}]}}) as postern:
        postern.start()
        log = pathlib.Path(postern.directory) / "log" / "postern.log"
        wait_until(lambda: "syslog_unreachable" in text_of(log), what="a warning")
