"""What modules tell of themselves: facts in status, and how far a start is that takes long."""
import subprocess
import threading

from phase_server import PhaseServer
from server import check, eq, wait_until


def test_facts_of_the_current_generation():
    with PhaseServer() as postern:
        postern.start()
        eq(postern.ctl("status", json_output=True)["facts"], {"phase.greeting": "one"}, "facts")
        check("phase.greeting: one\n" in postern.ctl("status"), postern.ctl("status"))
        postern.use("phase_two")
        postern.reload()
        eq(postern.ctl("status", json_output=True)["facts"], {"phase.greeting": "two"}, "facts")


def test_facts_of_a_single_process():
    with PhaseServer(single=True) as postern:
        postern.start()
        eq(postern.ctl("status", json_output=True)["facts"], {"phase.greeting": "one"}, "facts")


def test_slow_start_that_gets_ahead():
    """Three times its ready_deadline: it becomes ready, and everybody sees how far it is."""
    with PhaseServer(server={"ready_deadline": "1s"}) as postern:
        postern.start()
        postern.use("phase_tells")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(asking_to_reload(postern)))
        thread.start()
        try:
            note = wait_until(lambda: told(postern), 20, "the progress in generations")
            check(note.startswith("phase: waiting for the tide, "), note)
            check("of 32 (" in note, note)
            check("waiting for the tide" in postern.ctl("status", json_output=True)["starting"],
                  "status")
        finally:
            thread.join()
        check("is starting: phase: waiting for the tide" in answers[0].stderr, answers[0])
        eq(answers[0].returncode, 0, "exit status")
        eq(postern.who(), "tide", "greeting")
        check("starting" not in postern.ctl("status", json_output=True), "progress after the start")
        check("is starting: phase: waiting for the tide" in postern.log(), "progress in the log")


test_slow_start_that_gets_ahead.limit = 120


def told(postern):
    return next((row["note"] for row in postern.generations() if row["state"] == "starting"), "")


def asking_to_reload(postern):
    return subprocess.run([str(postern.control), "--directory", str(postern.directory), "reload"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)


def test_start_that_gets_ahead_no_more():
    with PhaseServer(server={"ready_deadline": "1s"}) as postern:
        postern.start()
        postern.use("phase_stops_telling")
        result = postern.reload(fails=True)
        check("not ready within" in result.stderr, result.stderr)
        check("no progress beyond \"phase: waiting for the tide, " in result.stderr, result.stderr)
        eq(postern.who(), "one", "greeting")


test_start_that_gets_ahead_no_more.limit = 120


def test_daemon_waits_for_a_slow_start():
    with PhaseServer(server={"ready_deadline": "1s"}) as postern:
        postern.use("phase_tells")
        result = subprocess.run([str(postern.daemon), "--directory", str(postern.directory),
                                 "--modules", str(postern.module_directory)],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=100)
        eq(result.returncode, 0, f"exit status ({result.stderr})")
        check("waiting for the tide" in result.stderr, result.stderr)
        eq(postern.who(), "tide", "greeting")
        postern.ctl("stop")


test_daemon_waits_for_a_slow_start.limit = 120
