"""Deliveries, fetches, deletions and compaction while workers and supervisors are killed and reloaded
at random: what was acknowledged is there exactly once, octet by octet, and what was deleted stays
away, in the index and in one that is made from what compaction has left of the segments."""
import contextlib
import os
import random
import signal
import threading
import time

from server import CommandFailed, Failure, Server, check, eq, wait_until

SECONDS = float(os.environ.get("POSTERN_STORM", "8"))
SEED = int(os.environ.get("POSTERN_STORM_SEED", "0")) or random.randrange(1, 1 << 30)
LARGE = 3 << 20  # beyond storage's stream_threshold: a segment of its own
# Everything that is deleted goes at once, unless a session that is open may know it still.
STORAGE = {"segment_size": "1MiB", "retention": "0", "compaction_interval": "100ms",
           "compaction_threshold": 1}


def was_cut(fault):
    """The worker went away, or a job of it did; all else is a fault of the server."""
    return isinstance(fault, OSError) or any(
        text in str(fault)
        for text in ("closed the connection", "does not end in CRLF", "[SYS/TEMP]"))


class Mailbox:
    """What the clients of one account were told."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.sent, self.safe, self.gone, self.unsure = {}, set(), set(), set()
        self.uidls = {}  # unique id -> message

    def begin(self, number, text):
        with self.lock:
            self.sent[number] = text

    def acknowledge(self, number):
        with self.lock:
            self.safe.add(number)

    def moment(self):
        """Messages that have to be there, and those that must not."""
        with self.lock:
            return self.safe - self.gone - self.unsure, set(self.gone)

    def forget(self, numbers, sure):
        with self.lock:
            self.unsure -= numbers
            (self.gone if sure else self.unsure).update(numbers)

    def seen(self, uidl, number):
        with self.lock:
            eq(self.uidls.setdefault(uidl, number), number, f"message with the UIDL {uidl}")


class Storm:
    def __init__(self, postern, rng):
        self.postern = postern
        self.rng = rng
        self.end = time.monotonic() + SECONDS
        self.stopped = threading.Event()
        self.let_in = threading.Event()
        self.let_in.set()
        self.inside = 0
        self.door = threading.Lock()
        self.faults = []
        self.said = {"delivered": 0, "deleted": 0, "fetched": 0, "blows": 0, "cut": 0}
        self.boxes = [Mailbox(f"user{n}@example.org") for n in range(3)]

    def over(self):
        return self.stopped.is_set() or time.monotonic() > self.end

    def thread(self, work, *args):
        def run():
            try:
                work(*args)
            except BaseException as fault:  # the scene tells, not the thread
                self.faults.append(fault)
                self.stopped.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    # ---- clients

    def deliver(self, box, first, seed):
        rng = random.Random(seed)
        number = first
        while not self.over():
            lines = rng.choice((1, 3, 40, 2000))
            if rng.random() < 0.03:
                lines = LARGE // 60
            text = b"Subject: %d\r\n\r\n" % number
            text += b"".join(b"%s%050d %d\r\n" % (b"." * (rng.random() < 0.1), n, number)
                             for n in range(lines))
            box.begin(number, text)
            try:
                self.postern.deliver(box.name, text)
                box.acknowledge(number)
                self.said["delivered"] += 1
            except CommandFailed:
                self.said["cut"] += 1
                time.sleep(0.02)
            number += 1

    @contextlib.contextmanager
    def entered(self):
        """A maildrop may be opened: what it shows cannot be compacted away."""
        self.let_in.wait()
        with self.door:
            self.inside += 1
        try:
            yield
        finally:
            with self.door:
                self.inside -= 1

    def idle(self, seed):
        """A connection without a maildrop keeps its generation alive beside the next one."""
        rng = random.Random(seed)
        while not self.over():
            try:
                with self.postern.pop3():
                    time.sleep(rng.random() * 2)
            except (OSError, Failure) as fault:
                if not was_cut(fault):
                    raise
                time.sleep(0.02)

    def fetch(self, box, seed):
        rng = random.Random(seed)
        while not self.over():
            try:
                with self.entered():
                    self.session(box, rng)
            except (OSError, Failure) as fault:
                if not was_cut(fault):
                    raise
                self.said["cut"] += 1
                time.sleep(0.02)

    def session(self, box, rng):
        """One look at a maildrop; some messages are deleted."""
        with self.postern.pop3() as pop:
            # What is acknowledged before the login has to be there.
            safe, gone = box.moment()
            pop.login(box.name, "secret")
            found = self.read_all(box, pop, safe, gone, rng)
            if rng.random() < 0.3:  # long enough to be overtaken by a reload
                time.sleep(rng.random())
            chosen = {number: at for at, number in found.items() if rng.random() < 0.4}
            for number, at in chosen.items():
                pop.ok(f"DELE {at}")
            # From here on nobody knows, unless +OK comes.
            box.forget(set(chosen), False)
            pop.quit()
            box.forget(set(chosen), True)
            self.said["deleted"] += len(chosen)

    def read_all(self, box, pop, safe, gone, rng):
        sizes = dict(line.split() for line in pop.lines("LIST"))
        uidls = dict(line.split() for line in pop.lines("UIDL"))
        count, octets = pop.ok("STAT").split()[1:3]
        eq(int(count), len(sizes), "message count of STAT")
        eq(int(octets), sum(map(int, sizes.values())), "message octets of STAT")
        eq(sorted(sizes), sorted(uidls), "message numbers of LIST and UIDL")
        eq(len(set(uidls.values())), len(uidls), "message UIDLs that differ")
        found = {}
        for at in sizes:
            text = pop.multi(f"RETR {at}")
            eq(len(text), int(sizes[at]), "message size")
            number = int(text.split(b"\r\n", 1)[0].split()[1])
            eq(text, box.sent.get(number), f"content of message {number}")
            box.seen(uidls[at], number)
            found[at] = number
            self.said["fetched"] += 1
        numbers = set(found.values())
        eq(len(numbers), len(found), "message seen once")
        check(not safe - numbers, f"message lost for {box.name}: {sorted(safe - numbers)}")
        check(not gone & numbers, f"deleted message back for {box.name}: {sorted(gone & numbers)}")
        return found

    # ---- blows

    def lull(self):
        """No maildrop is open for a while, so that compaction has something to take; then a blow."""
        self.let_in.clear()
        try:
            end = time.monotonic() + 2
            while self.inside and time.monotonic() < end:
                time.sleep(0.02)
            time.sleep(self.rng.random() * 0.4)
            self.blow()
            time.sleep(self.rng.random() * 0.4)
        finally:
            self.let_in.set()

    def blow(self):
        postern, kind = self.postern, self.rng.random()
        if kind < 0.35:
            with_worker(self.rng, postern, 1)
        elif kind < 0.45:
            with_worker(self.rng, postern, 9)
        elif kind < 0.9:
            try:
                postern.reload()
            except CommandFailed:
                pass  # the candidate was killed
        else:
            postern.kill()
            postern.start()
        self.said["blows"] += 1


def with_worker(rng, postern, count):
    pids = postern.workers()
    rng.shuffle(pids)
    for pid in pids[:count]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_storm():
    print(f"POSTERN_STORM_SEED={SEED}")
    rng = random.Random(SEED)
    with Server(server={"probation": "0"}, modules={"storage": STORAGE}) as postern:
        postern.start()
        storm = Storm(postern, rng)
        for box in storm.boxes:
            postern.add_account(box.name, "secret", "--session-limit", "0")
        threads = [storm.thread(storm.deliver, box, 1 + n * 1000000, rng.random())
                   for box in storm.boxes for n in range(2)]
        threads += [storm.thread(storm.fetch, box, rng.random()) for box in storm.boxes]
        threads.append(storm.thread(storm.idle, rng.random()))
        while not storm.over():
            time.sleep(rng.random() * 0.8)
            storm.lull() if rng.random() < 0.4 else storm.blow()
        for thread in threads:
            thread.join(120)
            check(not thread.is_alive(), "a client hangs")
        if storm.faults:
            raise storm.faults[0]
        for box in storm.boxes:
            final(storm, box)
        # However few the lulls were: what is left is compacted in peace.
        postern.ctl("storage", "compact", "--retention", "0")
        storm.said["compacted"] = postern.log().count("compaction-end")
        print(storm.said)
        check(storm.said["compacted"], "nothing was compacted")
        from_segments_alone(storm)


def from_segments_alone(storm):
    postern = storm.postern
    postern.ctl("storage", "rebuild-index")
    eq(postern.stop(60), 0, "exit status")
    postern.start(seconds=60)
    for box in storm.boxes:
        final(storm, box)
    eq(postern.ctl("storage", "check", json_output=True)["faults"], 0, "faults")


def final(storm, box):
    """The last look, in peace."""
    def look():
        try:
            with storm.postern.pop3() as pop:
                safe, gone = box.moment()
                pop.login(box.name, "secret")
                storm.read_all(box, pop, safe, gone, storm.rng)
                return True
        except OSError:
            return False

    wait_until(look, 30, "a last look")


test_storm.limit = 300
