"""Stopping, gracefully and at once; log files opened anew."""
import signal
import threading
import time

from phase_server import PhaseServer
from server import check, eq, wait_until


def test_graceful_stop():
    """Sessions between commands end at once, a command under way is answered first."""
    with PhaseServer() as postern:
        postern.start()
        idle, busy = postern.talk(), postern.talk()
        busy.send("LATER\r\n")
        wait_until(lambda: len(postern.ctl("sessions", json_output=True)) == 2, 5, "sessions")
        eq(postern.stop(), 0, "exit status")
        eq(busy.line(), "later", "the answer of the command under way")
        eq(busy.line(), None, "end of the busy session")
        eq(idle.line(), None, "end of the idle session")


def test_start_right_after_stop():
    """Whoever was told that the server has stopped can use its data at once."""
    with PhaseServer() as postern:
        for _ in range(5):
            postern.start()
            check("has stopped" in postern.ctl("stop"), "the answer of stop")
            postern.ctl("--offline", "--modules", postern.module_directory,
                        "log", "levels")
            postern.process.wait(20)
            postern.process = None


def test_stop_limit():
    """Half a command keeps a session no longer than stop_limit."""
    with PhaseServer(server={"stop_limit": "1s"}) as postern:
        postern.start()
        clients = [postern.talk() for _ in range(3)]
        for client in clients:
            client.send("WH")
        began = time.monotonic()
        eq(postern.stop(), 0, "exit status")
        check(time.monotonic() - began < 10, "stopping took too long")


def test_quick_stop():
    with PhaseServer() as postern:
        postern.start()
        busy = postern.talk()
        busy.send("LATER\r\n")
        postern.signal(signal.SIGINT)
        eq(postern.wait(10), 0, "exit status")
        postern.process = None
        eq(busy.line(), None, "the session's end")


def test_second_term_is_quick():
    with PhaseServer(server={"stop_limit": "60s"}) as postern:
        postern.start()
        clients = [postern.talk() for _ in range(3)]
        for client in clients:
            client.send("WH")
        postern.signal(signal.SIGTERM)
        time.sleep(0.2)
        postern.signal(signal.SIGTERM)
        eq(postern.wait(10), 0, "exit status")
        postern.process = None


def test_stop_command():
    """Returns when all is down: a start right after it works."""
    with PhaseServer() as postern:
        postern.start()
        for _ in range(3):
            postern.ctl("stop")
            eq(postern.wait(5), 0, "exit status")
            postern.process = None
            postern.start()
            eq(postern.who(), "one", "greeting")


def test_stop_with_drained_generations():
    with PhaseServer() as postern:
        postern.start()
        clients = []
        for _ in range(3):
            clients.append(postern.talk())
            postern.reload()
        eq(len(postern.generations()), 4, "generations")
        eq(postern.stop(), 0, "exit status")
        for client in clients:
            eq(client.line(), None, "the session's end")
        eq(postern.processes(), [], "processes left")


def test_reopen_logs():
    with PhaseServer() as postern:
        postern.start()
        postern.reload()
        log = postern.directory / "log" / "postern.log"
        log.rename(log.with_suffix(".1"))
        postern.signal(signal.SIGUSR1)
        wait_until(log.exists, 10, "the new log file")
        log.rename(log.with_suffix(".2"))
        postern.ctl("reopen-logs")
        wait_until(log.exists, 10, "the new log file")


def test_many_control_clients():
    """More than the supervisor takes at a time: all are answered, one way or the other."""
    with PhaseServer() as postern:
        postern.start()
        answers = []

        def ask():
            try:
                answers.append(bool(postern.generations()))
            except AssertionError:
                answers.append(False)

        threads = [threading.Thread(target=ask) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eq(len(answers), 40, "answers")
        check(all(answers), "a client was turned away")
