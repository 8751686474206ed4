"""Reloads: under load, repeated, refused in every way, rolled back; clients notice nothing."""
import os
import signal
import socket

from phase_server import PhaseServer, Talk, allow_descriptors
from server import Skip, check, eq, free_port, wait_until

SESSIONS = 10000


def test_hup_under_load():
    """10,000 sessions with half a command sent live through three reloads and five refusals."""
    count = min(SESSIONS, (allow_descriptors(SESSIONS + 500) - 500))
    if count < 1000:
        raise Skip("too few descriptors for sessions")
    with PhaseServer(server={"probation": "1s"}) as postern:
        postern.start()
        old = [postern.talk() for _ in range(count)]
        for client in old:
            client.send("WH")
        postern.use("phase_two")
        before = postern.notifications.count("READY=1")
        postern.signal(signal.SIGHUP)
        postern.wait_ready(before)
        second = [postern.talk() for _ in range(20)]
        eq({client.greeting for client in second}, {"two"}, "greetings after the reload")
        for client in second:
            client.send("WH")

        postern.use("phase_three")
        postern.reload()
        third = [postern.talk() for _ in range(20)]
        eq({client.greeting for client in third}, {"three"}, "greetings after the second reload")
        postern.reload()
        eq(len(postern.generations()), 4, "generations")

        refuse_all(postern, "three")
        crash_in_probation(postern, "three")

        for clients, answer in ((old, "one whole 16"), (second, "two whole 400")):
            for client in clients:
                client.send("O\r\n")
            eq({client.line() for client in clients}, {answer}, "who answers old sessions")
        eq({client.ask("WHO") for client in third}, {"three whole 900"}, "who answers")
        for client in old + second:
            client.sock.close()
        wait_until(lambda: len(postern.generations()) <= 2, 30, "end of drained generations")


test_hup_under_load.limit = 300
test_hup_under_load.alone = True


def refused(postern, *expected):
    result = postern.reload(fails=True)
    for text in expected:
        check(text in result.stderr, f"{text!r} is not in the refusal: {result.stderr}")


def refuse_all(postern, greeting):
    good = postern.config_file.read_text()
    generation = postern.current()["generation"]

    postern.write_config(good.replace("phase:", "fase: [\n  phase:"))
    refused(postern, "postern.yaml:")
    postern.write_config(good + "  nonsense: {}\n  rubbish: {}\n")
    refused(postern, "nonsense", "rubbish")
    postern.write_config(good)
    postern.replace_module("phase", b"\x7fELF garbage" * 100)
    refused(postern, "phase.so")
    for name, reason in (("phase_fails_start", "the moon is in the wrong phase"),
                         ("phase_fails_test", "two and two are five"),
                         ("phase_crashes_start", "SIGSEGV")):
        postern.use(name)
        refused(postern, reason)
        eq(postern.who(), greeting, f"greeting after {name} was refused")
    eq(postern.current()["generation"], generation, "generation after refusals")
    check("refused" in postern.ctl("status"), "status says nothing of the refused reload")


def crash_in_probation(postern, greeting):
    generation = postern.current()["generation"]
    postern.use("phase_crashes_soon")
    postern.reload()
    eq(postern.who(), "doomed", "greeting of the new generation")
    wait_until(lambda: (postern.current() or {}).get("generation") == generation, 15, "rollback")
    eq(postern.who(), greeting, "greeting after the rollback")
    check("rolled back" in postern.ctl("status"), "status does not tell of the rollback")
    check("rolled back" in postern.log(), "the log does not tell of the rollback")


def test_repeated_rollback():
    """A generation that was resumed can be replaced, and resumed once more."""
    with PhaseServer(server={"probation": "20s"}) as postern:
        postern.start()
        crash_in_probation(postern, "one")
        crash_in_probation(postern, "one")
        postern.use("phase_two")
        postern.reload()
        eq(postern.who(), "two", "greeting")
        check("rolled back" not in postern.ctl("status"), "the trouble is over")


def test_rollback_brings_listener_back():
    """The new generation had dropped a listener; after a rollback it is there again."""
    with PhaseServer(server={"probation": "20s"}) as postern:
        postern.start()
        second = free_port()
        listeners = postern.conf["modules"]["phase"]["listeners"]
        listeners.append(f"127.0.0.1:{second}")
        postern.write_config()
        postern.reload()
        eq(talk_to(second), "one", "greeting on the second port")
        del listeners[1]
        postern.write_config()
        postern.use("phase_crashes_soon")
        postern.reload()
        check(not postern_listens(second), "the dropped port is still open")
        wait_until(lambda: postern_listens(second), 15, "the port after the rollback")
        eq(talk_to(second), "one", "greeting on the second port")


def talk_to(port):
    with Talk(port) as client:
        return client.greeting


def postern_listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except ConnectionRefusedError:
        return False


def test_unready_candidate_is_killed():
    with PhaseServer(server={"ready_deadline": "1s"}) as postern:
        postern.start()
        postern.use("phase_hangs_start")
        refused(postern, "not ready within")
        eq(postern.who(), "one", "greeting")


def test_queued_reload():
    """A reload asked for while another is under way follows it."""
    with PhaseServer(server={"ready_deadline": "2s"}) as postern:
        postern.start()
        postern.use("phase_hangs_start")
        postern.signal(signal.SIGHUP)
        wait_until(lambda: len(postern.generations()) == 2, 10, "the candidate")
        postern.use("phase_two")
        postern.reload()
        eq(postern.who(), "two", "greeting")


def test_new_binary():
    """A program replaced on disk serves the next generation; a missing one is a refused reload."""
    with PhaseServer() as postern:
        postern.start()
        keep = postern.talk()
        original = postern.daemon.read_bytes()
        postern.replace_daemon(original + b"\0" * 4096)
        size = os.stat(postern.daemon).st_size
        postern.reload()
        worker = postern.current()["pid"]
        eq(os.stat(f"/proc/{worker}/exe").st_size, size, "size of the running program")
        postern.daemon.unlink()
        refused(postern, "cannot execute", "bin/posternd")
        postern.replace_daemon(b"\x7fELF not a program")
        refused(postern, "cannot execute")
        eq(postern.who(), "one", "greeting")
        eq(keep.ask("WHO"), "one whole 16", "the first session")
        postern.replace_daemon(original)
        postern.reload()


def test_dry_run():
    with PhaseServer() as postern:
        postern.start()
        check("configuration ok: 2 modules, 1 listeners" in postern.ctl("reload", "--dry-run"))
        generation = postern.generation()
        good = postern.config_file.read_text()
        postern.write_config(good + "  nonsense: {}\n")
        result = postern.ctl("reload", "--dry-run", fails=True)
        check("nonsense" in result.stderr, result.stderr)
        eq(postern.generation(), generation, "generation after dry runs")


def test_drain_limit():
    """Sessions of the old generation end after drain_limit."""
    with PhaseServer(server={"probation": "0", "drain_limit": "1s"}) as postern:
        postern.start()
        keep = postern.talk()
        postern.reload()
        eq(keep.line(), None, "the old session's end")
        wait_until(lambda: len(postern.generations()) == 1, 15, "the old generation's end")


def test_retired_generation_ends():
    with PhaseServer(server={"probation": "500ms"}) as postern:
        postern.start()
        keep = postern.talk()
        postern.reload()
        wait_until(lambda: len(postern.generations()) == 2, 5, "two generations")
        eq(keep.ask("ECHO still here"), "still here", "answer of the draining generation")
        eq(keep.ask("QUIT"), "bye", "answer to QUIT")
        wait_until(lambda: len(postern.generations()) == 1, 15, "the old generation's end")


def test_too_many_generations():
    """No slot is free: a reload and a check are answered, and work when sessions have ended."""
    with PhaseServer(server={"probation": "0"}) as postern:
        postern.start()
        clients = []
        for _ in range(31):
            clients.append(postern.talk())
            postern.reload()
        for words in (["reload"], ["config", "check"], ["reload"]):
            refused = postern.ctl(*words, fails=True, seconds=10)
            check("32 generations are alive" in refused.stderr, refused.stderr)
        for client in clients:
            eq(client.ask("QUIT"), "bye", "answer to QUIT")
        wait_until(lambda: len(postern.generations()) == 1, 20, "the end of the old generations")
        postern.reload()


test_too_many_generations.limit = 120


def test_many_reloads_within_probation():
    """Only those stay without sessions that may have to serve again."""
    with PhaseServer(server={"probation": "1h"}) as postern:
        postern.start()
        for _ in range(5):
            postern.reload()
        wait_until(lambda: len(postern.generations()) <= 3, 10, "three generations")
        for generation in (5, 1):
            os.kill(postern.current()["pid"], signal.SIGKILL)
            postern.wait_log(f"generation {generation} serves again")
