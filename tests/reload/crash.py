"""Workers and supervisors that die or hang."""
import os
import pathlib
import re
import signal
import socket
import threading
import time

from phase_server import PhaseServer, Talk
from server import check, eq, wait_until


def test_worker_killed():
    """SIGKILL of the worker: a new one serves at once; nobody is refused in between."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        with postern.talk() as client:
            os.kill(postern.current()["pid"], signal.SIGKILL)
            eq(client.line(), None, "the session of a killed worker")
        began = time.monotonic()
        eq(postern.who(), "one", "greeting of the new worker")
        check(time.monotonic() - began < 2, "a new worker served too late")
        eq(postern.generation(), 2, "generation")
        postern.wait_log("crashed with SIGKILL")


def test_crash_answers_are_not_lost():
    """A client that connects while no worker serves waits for the next one."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        for _ in range(2):
            with postern.talk() as client:
                client.send("CRASH\r\n")
                eq(client.line(), None, "the end of the session")
            eq(postern.who(), "one", "greeting")
        check(postern.ctl("status", json_output=True)["restarts"] >= 1, "restarts")


def test_commands_wait_for_the_next_worker():
    """A command of a module that comes between two workers is carried out by the next one."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        for _ in range(3):
            with postern.talk() as client:
                os.kill(postern.current()["pid"], signal.SIGKILL)
                eq(client.line(), None, "the session of a killed worker")
            check("phase" in postern.ctl("modules"), "the modules of the new worker")


def test_back_off_and_broken_file():
    """The file on disk is broken when the worker dies: retried, told in status, mended."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        good = postern.config_file.read_text()
        postern.write_config(good + "  nonsense: {}\n")
        os.kill(postern.current()["pid"], signal.SIGKILL)
        wait_until(lambda: "nonsense" in postern.ctl("status"), 10, "the reason in status")
        result = postern.ctl("modules", fails=True)
        check("no worker serves" in result.stderr, result.stderr)
        eq(result.returncode, os.EX_TEMPFAIL, "exit status")
        check("reload" in postern.ctl("help"), "the supervisor's own help")
        with socket.create_connection(("127.0.0.1", postern.phase_port), timeout=20) as waiting:
            postern.write_config(good)
            check(waiting.recv(100).startswith(b"one"), "the waiting client is not served")
        wait_until(lambda: "trouble" not in postern.ctl("status", json_output=True), 10,
                   "the end of trouble")


def test_check_does_not_end_the_back_off():
    """Who finds no worker serving asks what is wrong with the file: the next start still comes."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        good = postern.config_file.read_text()
        postern.write_config(good + "  nonsense: {}\n")
        os.kill(postern.current()["pid"], signal.SIGKILL)
        wait_until(lambda: "nonsense" in postern.ctl("status"), 10, "the reason in status")
        for words in (("reload", "--dry-run"), ("config", "check")):
            check("nonsense" in postern.ctl(*words, fails=True).stderr, words)
        postern.write_config(good)
        postern.ctl("reload", "--dry-run")
        with postern.talk() as client:
            eq(client.greeting, "one", "greeting of the next worker")


def test_refusals_are_told_in_one_line():
    """The service manager and the log take a line for a message of its own."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        good = postern.config_file.read_text()
        postern.write_config(good + "  first: {}\n  second: {}\n")
        postern.reload(fails=True)
        wait_until(lambda: postern.notifications.count("READY=1") == 2, 5, "READY=1")
        os.kill(postern.current()["pid"], signal.SIGKILL)
        wait_until(lambda: postern.notifications.count("RELOADING=1") >= 2, 5, "the next start")
        wait_until(lambda: postern.notifications.count("READY=1") >= 3, 5,
                   "READY=1 after a start that was refused")
        for _, line in list(postern.notifications.lines):
            check(line.split("=")[0] in ("READY", "RELOADING", "MONOTONIC_USEC", "STATUS"), line)


def test_older_generation_resumes_when_restart_is_refused():
    with PhaseServer(server={"probation": "200ms"}) as postern:
        postern.start()
        keep = postern.talk()
        postern.use("phase_two")
        postern.reload()
        postern.wait_log("generation 2 serves")
        time.sleep(0.5)
        good = postern.config_file.read_text()
        postern.write_config(good + "  nonsense: {}\n")
        os.kill(postern.current()["pid"], signal.SIGKILL)
        wait_until(lambda: (postern.current() or {}).get("generation") == 1, 10, "resumption")
        eq(postern.who(), "one", "greeting")
        eq(keep.ask("WHO"), "one whole 16", "the old session")
        check("serves again" in postern.ctl("status"), postern.ctl("status"))
        postern.write_config(good)
        postern.reload()
        eq(postern.who(), "two", "greeting")


def test_wedged_worker():
    """A reactor that does not turn any more: killed by the watchdog, replaced."""
    with PhaseServer(server={"probation": "0", "watchdog": "1s"}) as postern:
        postern.start()
        with postern.talk() as client:
            client.send("WEDGE\r\n")
            eq(client.line(), None, "the session of a wedged worker")
        eq(postern.who(), "one", "greeting of the new worker")
        postern.wait_log("no heartbeat")


test_wedged_worker.limit = 60


def test_supervisor_answers_without_its_worker():
    """A worker that reads nothing: how things stand is told all the same, and it is replaced."""
    with PhaseServer(server={"probation": "0", "watchdog": "1h"}) as postern:
        postern.start()
        worker = postern.current()["pid"]
        os.kill(worker, signal.SIGSTOP)
        try:
            check("serving" in postern.ctl("status", seconds=5), "status")
            postern.reload(seconds=15)
            eq(postern.current()["generation"], 2, "generation")
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_until(lambda: len(postern.generations()) == 1, 10, "the end of the stopped worker")
        eq(postern.who(), "one", "greeting")


def test_stopped_supervisor_is_no_reason_to_stop_serving():
    with PhaseServer(server={"watchdog": "1s"}) as postern:
        postern.start()
        postern.signal(signal.SIGSTOP)
        try:
            time.sleep(2.5)
            eq(postern.who(), "one", "greeting")
        finally:
            postern.signal(signal.SIGCONT)
        time.sleep(0.5)
        eq(postern.generation(), 1, "generation after the supervisor's sleep")


def test_supervisor_killed():
    """Workers let go of the ports and keep their sessions; a plain start works at once."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        keep = postern.talk()
        orphan = postern.current()["pid"]
        postern.kill()
        postern.start(seconds=10)
        eq(keep.ask("WHO"), "one whole 16", "the orphan's session")
        eq(postern.who(), "one", "greeting of the new server")
        check(postern.current()["pid"] != orphan, "the orphan serves")
        eq(keep.ask("QUIT"), "bye", "answer to QUIT")
        wait_until(lambda: not os.path.exists(f"/proc/{orphan}"), 10, "the orphan's end")
        eq(postern.stop(), 0, "exit status")


def test_start_while_an_orphan_holds_the_port():
    """The orphan is stopped for a while, so that it holds the port when the new server starts."""
    with PhaseServer() as postern:
        postern.start()
        orphan = postern.current()["pid"]
        os.kill(orphan, signal.SIGSTOP)
        postern.kill()
        threading.Timer(0.3, os.kill, (orphan, signal.SIGCONT)).start()
        postern.start(seconds=10)
        eq(postern.who(), "one", "greeting of the new server")


def is_pending(pid, number):
    """Whether the process has been sent a signal that it has not taken yet."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^ShdPnd:\s*(\w+)", status, re.M)[1], 16) >> (number - 1) & 1


def test_orphan_obeys_sigterm():
    with PhaseServer() as postern:
        postern.start()
        keep = postern.talk()
        orphan = postern.current()["pid"]
        os.kill(orphan, signal.SIGTERM)  # ignored: there is a supervisor
        wait_until(lambda: not is_pending(orphan, signal.SIGTERM), what="the signal to be taken")
        eq(keep.ask("WHO"), "one whole 16", "answer after SIGTERM to a supervised worker")
        postern.kill()
        postern.wait_log("supervisor-gone")
        os.kill(orphan, signal.SIGTERM)
        eq(keep.line(), None, "the session's end")
        wait_until(lambda: not os.path.exists(f"/proc/{orphan}"), 10, "the orphan's end")


def test_kill_everything_and_start():
    """After SIGKILL of all processes nothing has to be removed by hand."""
    unix = "unix:{run}/phase.sock"
    with PhaseServer() as postern:
        postern.conf["modules"]["phase"]["listeners"].append(unix)
        postern.write_config()
        postern.start()
        pids = postern.processes()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        postern.process.wait()
        postern.process = None
        wait_until(lambda: not postern.processes(), 10, "the end of all")
        postern.start(seconds=10)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(postern.directory / "run" / "phase.sock"))
            check(client.recv(100).startswith(b"one"), "greeting on the UNIX socket")
        eq(Talk(postern.phase_port).greeting, "one", "greeting")


def test_kick():
    """A session is found in whichever generation it lives."""
    with PhaseServer() as postern:
        postern.start()
        old = postern.talk()
        postern.reload()
        new = postern.talk()
        ids = {row["generation"]: row["id"] for row in postern.ctl("sessions", json_output=True)}
        eq(sorted(ids), [1, 2], "generations with sessions")
        for generation, client in ((1, old), (2, new)):
            postern.ctl("kick", ids[generation])
            eq(client.line(), None, "the end of the session")
        for wrong in (ids[1], "zz.1", "nonsense"):
            check("there is no session" in postern.ctl("kick", wrong, fails=True).stderr, wrong)
        postern.wait_log("command=kick")
