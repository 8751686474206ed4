"""Module files: what the tools say of them, what may not be built, descriptors that lie."""
import functools
import json
import pathlib
import re
import shlex
import subprocess
import tempfile

import server

ROOT = server.ROOT


def run(*words, code=0):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    server.eq(done.returncode, code, f"exit code of {words[0]}: {done.stderr}{done.stdout}")
    return done.stdout, done.stderr


@functools.lru_cache
def variable(build, name):
    """A variable of the build's Makefile, expanded."""
    text = f"include Makefile\npostern-print:\n\t@echo '$({name})'\n"
    done = subprocess.run(["make", "-s", "-f", "-", "postern-print"], input=text, text=True,
                          cwd=build.path, stdout=subprocess.PIPE, timeout=60, check=True)
    return shlex.split(done.stdout.splitlines()[-1])  # before it: the Makefile made anew


def compile_module(build, source, out, *more):
    """As the build compiles and links a module; the compiler's words, empty if it was content."""
    flags = [word for name in ("CC", "MODULE_CPPFLAGS", "MODULE_CFLAGS", "CFLAGS", "MODULE_LDFLAGS")
             for word in variable(build, name)
             if word not in ("-module", "-avoid-version", "-shared")]
    done = subprocess.run([*flags, "-shared", "-fPIC", *more, "-o", str(out), str(source)],
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60,
                          cwd=build.path)
    return done.stderr if done.returncode else ""


MODULE = """
#include <postern/module.h>
%s
static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
                   char *err, size_t errlen)
{
	(void)host; (void)conf; (void)err; (void)errlen;
	%s
	return self;
}
static int self_test(void *inst, char *err, size_t errlen)
{
	(void)inst; (void)err; (void)errlen;
	return 0;
}
static void stop(void *inst) { (void)inst; }
PSTN_EXPORT const struct pstn_module pstn_module = {
	PSTN_MODULE_HEAD, .name = "arrow", .version = "1", .summary = "", .start = start,
	.self_test = self_test, .stop = stop};
"""


def test_wrong_arrows_do_not_build():
    """A module sees include/ alone and links against nothing of the core."""
    build = server.Build()
    with tempfile.TemporaryDirectory(prefix="postern-") as directory:
        source, out = pathlib.Path(directory, "arrow.c"), pathlib.Path(directory, "arrow.so")
        source.write_text(MODULE % ("", ""))
        server.eq(compile_module(build, source, out), "", "a module with no wrong arrow")
        run(build.program("postern-modinfo"), out)
        for header in ("plan.h", "reactor.h", "core/session.h", "host.h"):
            source.write_text(MODULE % (f'#include "{header}"', ""))
            said = compile_module(build, source, out)
            server.check("No such file" in said or "not found" in said, f"{header}: {said!r}")
        if not variable(build, "MODULE_DEFS"):
            raise server.Skip("with sanitizers the linker cannot tell")
        for function in ("reports_new", "reactor_now", "log_dropped"):
            source.write_text(MODULE % (f"unsigned long {function}(void);", f"{function}();"))
            said = compile_module(build, source, out)
            server.check(function in said and "undefined" in said, f"{function}: {said!r}")


LIES = ["", "how large an item is", "in a circle", "inside the module's conf struct",
        "inside the module's conf struct", "default that its own row refuses",
        "bound that is not a whole number", "two option rows have the name number",
        "keeps for itself", "unknown type (77)", "has no choices", "the choices of option number",
        "an option's name", "an option's name is no text", "lower_case_with_underscores",
        "option rows lie outside", "the help of option number", "no believable size",
        "no believable size", "too short", "protocol name is no text", "no believable size",
        "unknown kind (9)", "says it has 20 octets", "says it has 2000000000 octets",
        "a size of 8 octets for option rows", "a size of 90 octets", "a size of 8192 octets",
        "a size of 0 octets for need rows", "its name is no text", "its version is no text",
        "is absurd", "have to be functions", "have to be functions", "have to be functions"]


def test_descriptors_that_lie():
    """Each is refused with a sentence of its own, the truthful one is taken."""
    build = server.Build()
    with tempfile.TemporaryDirectory(prefix="postern-") as directory:
        out = pathlib.Path(directory, "odd.so")
        for way, says in enumerate(LIES):
            said = compile_module(build, ROOT / "tests/modules/odd.c", out, f"-DODD={way}", "-w",
                                  "-O0", "-U_FORTIFY_SOURCE")
            server.eq(said, "", f"compiler on way {way}")
            _, err = run(build.program("postern-modinfo"), out, code=1 if says else 0)
            server.check(says in err and err.count("\n") <= 1, f"way {way}: {err!r}")


def test_modinfo():
    build = server.Build()
    modinfo, modules = build.program("postern-modinfo"), build.modules()
    text, _ = run(modinfo, modules["good"])
    for words in ("good 1.0: Greets", "service.stream 1.0", "patience: a duration",
                  "default 10m", "lines_total: counter", "network: a text; required"):
        server.check(words in text, f"{words!r} is not in {text}")
    text, _ = run(modinfo, "--json", modules["good"], modules["unmet_need"])
    good, needy = json.loads(text)
    server.eq(good["options"][1]["max"], "5")
    server.eq(good["options"][11]["children"][0]["children"][0]["required"], True)
    server.eq(needy["needs"][1], {"name": "test.extra", "major": 1, "minor": 0, "optional": True})
    text, err = run(modinfo, "--json", modules["wrong_magic"], code=1)
    server.check("magic" in json.loads(text)[0]["error"] and "magic" in err)
    run(modinfo, modules["good"], "/nonexistent.so", code=1)
    run(modinfo, code=2)
    for name, path in modules.items():
        if "tests/" not in str(path):
            run(modinfo, path)


def test_abi_check():
    build = server.Build()
    check, modules = build.program("abi-check"), build.modules()
    text, _ = run(check, modules["good"], modules["good"])
    server.check("can replace" in text)
    text, _ = run(check, modules["good"], modules["changed"], code=1)
    for words in ("repeat may be at most 3 now (was 5)", "option mood is gone",
                  "option owner is new and required", "metric sessions is gone", "4 reasons"):
        server.check(words in text, f"{words!r} is not in {text}")
    text, _ = run(check, modules["changed"], modules["good"], code=1)
    server.check("option owner is gone" in text and "repeat" not in text, text)
    text, _ = run(check, modules["provider"], modules["unmet_need"], code=1)
    server.check("no longer offers test.store 1.1" in text and "needs test.store 1.0" in text, text)
    run(check, modules["good"], modules["newer_minor"], code=2)
    run(check, modules["good"], "/nonexistent.so", code=2)
    run(check, modules["good"], code=2)


def test_sample_and_pages():
    """What --print says of all modules is complete, and the sample is valid."""
    build = server.Build()
    posternd, directory = build.program("posternd"), build.path / "modules/.libs"
    sample, _ = run(posternd, "--print", "sample", "--modules", directory)
    with tempfile.TemporaryDirectory(prefix="postern-") as scratch:
        sample = re.sub(r"user: postern", "user: nobody", sample)
        pathlib.Path(scratch, "postern.yaml").write_text(sample)
        run(posternd, "--check", "--directory", scratch, "--modules", directory)
    schema, _ = run(posternd, "--print", "schema", "--modules", directory)
    modules = json.loads(schema)["properties"]["modules"]["properties"]
    reference, _ = run(posternd, "--print", "reference", "--modules", directory)
    page, _ = run(posternd, "--print", "man", "--modules", directory)
    for name in modules:
        server.check(f"## modules.{name}\n" in reference and f"MODULE {name.upper()}" in page)
        for key in modules[name]["properties"]:
            server.check(f"`{key}`" in reference, f"{name}.{key} is not in the reference")
    run(posternd, "--print", "novel", "--modules", directory, code=2)


def test_sample_of_the_distribution():
    """etc/postern.yaml is good with the real modules."""
    build = server.Build()
    text = (ROOT / "etc/postern.yaml").read_text().replace("user: postern", "user: nobody")
    with tempfile.TemporaryDirectory(prefix="postern-") as scratch:
        pathlib.Path(scratch, "postern.yaml").write_text(text)
        run(build.program("posternd"), "--check", "--directory", scratch, "--modules",
            build.path / "modules/.libs")
