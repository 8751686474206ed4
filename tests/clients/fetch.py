"""Real clients fetch real mail: every octet is as it was imported, every size as LIST says.

The corpus of 3,000 messages is used where it lies beside the checkout, else the 200 of tests/data.
Each client is told to leave messages alone as far as it can; what it does all the same (line ends
of its own system) is undone, and nothing more.
"""
import contextlib
import os
import pathlib
import poplib
import shutil
import subprocess

import mail
from server import Failure, Server, Skip, SLOW, check, eq

USER, PASSWORD = "ann@example.org", "correct horse"

# The shell's own words and one exec: a process more for each message would be half of a scene's time.
DELIVER = """#!/bin/sh
# stores a message under the next number; clients call it once a message, one after another
read -r n <{folder}/../count
n=$((n + 1))
echo $n >{folder}/../count
exec cat >{folder}/$n
"""


def messages():
    return mail.corpus() if mail.corpus_file() else mail.small()


@contextlib.contextmanager
def filled(contents):
    """A server whose account holds the messages, and a folder for what is fetched."""
    with Server() as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        postern.import_(USER, mail.write_maildir(postern.scratch / "Maildir", contents))
        folder = postern.scratch / "fetched"
        folder.mkdir()
        yield postern, folder


def sizes(postern):
    """What LIST says."""
    with postern.pop3() as pop:
        pop.login(USER, PASSWORD)
        rows = [row.split() for row in pop.lines("LIST")]
        pop.quit()
    eq([int(number) for number, _ in rows], list(range(1, len(rows) + 1)), "LIST numbers")
    return [int(size) for _, size in rows]


def compare(postern, fetched, contents):
    """fetched: octets of each message with CRLF, in the order of the maildrop."""
    eq(len(fetched), len(contents), "messages fetched")
    wrong = [number for number, (found, message) in enumerate(zip(fetched, contents), 1)
             if found != mail.wire(message)]
    if wrong:
        number = wrong[0]
        raise Failure(f"{len(wrong)} messages differ, the first is {number}: " + mail.first_difference(
            fetched[number - 1], mail.wire(contents[number - 1])))
    eq(sizes(postern), [len(octets) for octets in fetched], "sizes in LIST")


def crlf(octets):
    """Undo a client's LF line ends."""
    return octets.replace(b"\n", b"\r\n")


def read_numbered(folder, count):
    return [(folder / str(number)).read_bytes() for number in range(1, count + 1)]


def need(program):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


def run(words, folder, seconds=600, **options):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8",
                   "LC_ALL": "C.UTF-8"}
    result = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                            cwd=folder, timeout=seconds * SLOW, **options)
    text = result.stdout.decode(errors="replace")
    check(result.returncode == 0, f"{words[0]}: exit {result.returncode}: {text[-800:]}")
    return text


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def deliver_program(folder):
    (folder.parent / "count").write_text("0\n")
    return write(folder.parent / "deliver", DELIVER.format(folder=folder), 0o700)


# ---- clients ------------------------------------------------------------------------------------


def test_octets():
    """The harness' own client, which undoes dot-stuffing and nothing else; odd messages too."""
    contents = mail.odd() + mail.small()
    with filled(contents) as (postern, _):
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            fetched = [pop.multi(f"RETR {number}") for number in range(1, len(contents) + 1)]
            pop.quit()
        compare(postern, fetched, contents)


def test_octets_pipelined():
    contents = messages()
    with filled(contents) as (postern, _):
        fetched = []
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            for first in range(1, len(contents) + 1, 100):
                numbers = range(first, min(first + 100, len(contents) + 1))
                pop.send(b"".join(b"RETR %d\r\n" % number for number in numbers))
                for number in numbers:
                    check(pop.line().startswith("+OK"), f"RETR {number}")
                    fetched.append(pop.text())
            pop.quit()
        compare(postern, fetched, contents)


def test_mbox():
    """The same by way of an mbox."""
    contents = mail.small()
    with Server() as postern:
        postern.start()
        postern.add_account(USER, PASSWORD)
        postern.import_(USER, mail.DATA)
        with postern.pop3() as pop:
            pop.login(USER, PASSWORD)
            fetched = [pop.multi(f"RETR {number}") for number in range(1, len(contents) + 1)]
            pop.quit()
        compare(postern, fetched, contents)


def test_curl():
    need("curl")
    contents = messages()
    with filled(contents) as (postern, folder):
        run(["curl", "-sS", "--fail-early", "-u", f"{USER}:{PASSWORD}", "-o", "#1",
             f"pop3://127.0.0.1:{postern.port}/[1-{len(contents)}]"], folder)
        compare(postern, read_numbered(folder, len(contents)), contents)


def test_mpop():
    need("mpop")
    contents = messages()
    with filled(contents) as (postern, folder):
        conf = write(folder / "mpoprc", f"""account default
host 127.0.0.1
port {postern.port}
tls off
auth user
user {USER}
password {PASSWORD}
keep on
received_header off
uidls_file {folder}/uidls
delivery mda {deliver_program(folder)}
""")
        run(["mpop", "-q", "-C", conf], folder)
        compare(postern, [crlf(found) for found in read_numbered(folder, len(contents))], contents)


def test_fetchmail():
    need("fetchmail")
    contents = messages()
    with filled(contents) as (postern, folder):
        conf = write(folder / "fetchmailrc", f"""set no bouncemail
set invisible
poll 127.0.0.1 protocol pop3 port {postern.port} timeout 60 bad-header accept
  user "{USER}" password "{PASSWORD}" is "nobody" here
  sslproto "" keep fetchall no rewrite no stripcr no forcecr no dropstatus no mimedecode pass8bits
  mda "{deliver_program(folder)}"
""")
        if os.geteuid() == 0:
            write(folder / "fetchids", "")
        run(["fetchmail", "-s", "-f", conf, "-i", folder / "fetchids", "--pidfile",
             folder / "fetchmail.pid"], folder)
        compare(postern, read_numbered(folder, len(contents)), contents)


GETMAIL_FORM = r"""
import pathlib, sys
from getmailcore.message import Message
for path in pathlib.Path(sys.argv[1]).iterdir():
    lines = path.read_bytes()[:-2].split(b"\r\n")
    path.write_bytes(Message(fromlines=lines + [b""]).flatten(False, False))
"""


def getmail_form(contents, folder):
    """getmail parses what it fetched and writes it anew (header folding, Return-Path first): what
    its own code makes of the very octets that were imported."""
    folder.mkdir()
    for number, message in enumerate(contents, 1):
        (folder / str(number)).write_bytes(mail.wire(message))
    script = write(folder.parent / "form.py", GETMAIL_FORM)
    run(["/usr/bin/python3", script, folder], folder.parent)
    return read_numbered(folder, len(contents))


# getmail misses a child that has ended before it waits, and gives up after its timeout.
UNTIL_IT_WAITS = """#!/bin/sh
until
	while read -r field state _ && [ "$field" != State: ]; do :; done </proc/$PPID/status
	[ "$state" = S ]
do
	sleep 0.01
done
"""


def run_getmail(folder):
    deliver = folder.parent / "deliver"
    deliver.write_text(deliver.read_text().replace("#!/bin/sh\n", UNTIL_IT_WAITS))
    run(["getmail", f"--getmaildir={folder}", "--rcfile=getmailrc"], folder)


def compare_getmail(postern, folder, contents):
    expected = getmail_form(contents, folder.parent / "expected")
    for number, found in enumerate(read_numbered(folder, len(contents))):
        check(found == expected[number], f"message {number + 1}: "
              + mail.first_difference(found, expected[number]))
    eq(sizes(postern), [len(mail.wire(message)) for message in contents], "sizes in LIST")


def test_getmail():
    """The command itself, a process for each message, hence over some of those of tests/data."""
    need("getmail")
    contents = mail.small()[::4]
    with filled(contents) as (postern, folder):
        write(folder / "getmailrc", f"""[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {postern.port}
username = {USER}
password = {PASSWORD}
timeout = 20

[destination]
type = MDA_external
path = {deliver_program(folder)}
allow_root_commands = true
unixfrom = false

[options]
read_all = true
delete = false
delivered_to = false
received = false
verbose = 0
""")
        run_getmail(folder)
        compare_getmail(postern, folder, contents)


GETMAIL = r"""
import pathlib, sys
from getmailcore.retrievers import SimplePOP3Retriever

port, user, password, folder = sys.argv[1:]
getmail = SimplePOP3Retriever(server="127.0.0.1", port=int(port), username=user, password=password,
                              getmaildir=folder)
getmail.initialize({"read_all": True, "delete": False})
getmail.select_mailbox(None)
for number, msgid in enumerate(getmail, 1):
    octets = getmail.getmsg(msgid).flatten(False, False)
    (pathlib.Path(folder) / str(number)).write_bytes(octets)
getmail.quit()
"""


def test_getmail_retriever():
    """Its POP3 half, over everything, without a process per message."""
    need("getmail")
    contents = messages()
    with filled(contents) as (postern, folder):
        script = write(folder.parent / "getmail.py", GETMAIL)
        run(["/usr/bin/python3", script, postern.port, USER, PASSWORD, folder], folder)
        compare_getmail(postern, folder, contents)


NET_POP3 = r"""
use strict;
use Net::POP3;
my ($port, $user, $password, $folder) = @ARGV;
my $pop = Net::POP3->new('127.0.0.1', Port => $port, Timeout => 60) or die "connect: $@";
my $count = $pop->login($user, $password);
defined $count or die 'login: ' . $pop->message;
my $list = $pop->list;
for my $n (sort { $a <=> $b } keys %$list) {
    open my $file, '>:raw', "$folder/$n" or die "$n: $!";
    $pop->get($n, $file) or die "RETR $n: " . $pop->message;
    close $file or die;
}
$pop->quit or die 'quit';
"""


def test_net_pop3():
    need("perl")
    contents = messages()
    with filled(contents) as (postern, folder):
        script = write(folder.parent / "fetch.pl", NET_POP3)
        run(["perl", script, postern.port, USER, PASSWORD, folder], folder)
        compare(postern, [crlf(found) for found in read_numbered(folder, len(contents))], contents)


def test_poplib():
    contents = messages()
    poplib._MAXLINE = 1 << 20  # its own limit of 2,048 octets is below what mail holds
    with filled(contents) as (postern, _):
        pop = poplib.POP3("127.0.0.1", postern.port, timeout=60)
        pop.user(USER)
        pop.pass_(PASSWORD)
        count, octets = pop.stat()
        fetched = [b"\r\n".join(pop.retr(number)[1] + [b""]) for number in range(1, count + 1)]
        eq(octets, sum(map(len, fetched)), "octets in STAT")
        eq(len(pop.uidl()[1]), count, "rows of UIDL")
        pop.quit()
        compare(postern, fetched, contents)


test_octets_pipelined.limit = 300
test_curl.limit = 300
test_mpop.limit = 300
test_fetchmail.limit = 300
test_getmail.limit = 300
test_getmail_retriever.limit = 300
test_net_pop3.limit = 300
test_poplib.limit = 300
