"""What is installed, and the manual: every option, key, method, code and function is in it, and nothing else."""

import os
import re
import subprocess

import pytest

from harness import program
from harness.daemon import CHECKOUT
from harness.service import install

MAN = CHECKOUT / "docs" / "man"


def source(page):
    return re.sub(r"\\(.)", r"\1", (MAN / f"{page}.scd").read_text(encoding="utf-8"))


def run(*command, **more):
    return subprocess.run(command, check=True, text=True, capture_output=True, **more).stdout


def options_of(*command):
    """The long options that argp prints."""
    return set(re.findall(r"^ +(?:-., )?(--[a-z0-9-]+)", run(*command, "--help"), re.M))


def section(text, heading):
    found = re.search(rf"^# {heading}$(.*?)(?=^# |\Z)", text, re.M | re.S)
    assert found, f"no section {heading}"
    return found.group(1)


def test_every_option_of_the_daemon():
    page = source("sagad.8")
    assert set(re.findall(r"^\*(?:-.\*, \*)?(--[a-z-]+)\*", section(page, "OPTIONS"), re.M)) == options_of(program("sagad"))
    assert set(re.findall(r"(--[a-z-]+)", page)) <= options_of(program("sagad"))


def test_every_exit_code_of_both_programs():
    for page, command in (("sagad.8", "sagad"), ("sagactl.1", "sagactl")):
        codes = re.findall(r"^ +(\d)  ", run(program(command), "--help").split("Exit codes:")[1], re.M)
        assert re.findall(r"^\*(\d)\*$", section(source(page), "EXIT STATUS"), re.M) == codes


def test_every_environment_variable():
    variables = set(re.findall(r"\b[A-Z0-9]+_[A-Z_]+\b", run(program("sagad"), "--help")))
    assert {"POSTGRES_HOST", "REDIS_URL"} <= variables
    assert variables <= set(re.findall(r"\b[A-Z0-9]+_[A-Z_]+\b", section(source("sagad.8"), "ENVIRONMENT")))


def commands():
    return re.findall(r"^  ([a-z-]+) .*", run(program("sagactl"), "--help").split("Commands:")[1].split("`sagactl")[0], re.M)


def test_every_command_of_sagactl_with_its_options():
    page = source("sagactl.1")
    body = section(page, "COMMANDS FOR DOCUMENTS") + section(page, "COMMANDS FOR OPERATORS")
    shown = {match.group(1): match.group(2) for match in
             re.finditer(r"^\*([a-z-]+)\*(.*?)(?=^\*|\Z)", body, re.M | re.S)}
    assert sorted(shown) == sorted(commands())
    common = options_of(program("sagactl"))
    assert set(re.findall(r"(--[a-z0-9-]+)", section(page, "OPTIONS"))) == common
    for name, text in shown.items():
        own = options_of(program("sagactl"), name) - common
        assert set(re.findall(r"(--[a-z0-9-]+)", text)) - common - ({"--job"} if name == "put" else set()) == own, name


def test_every_key_of_the_configuration():
    generator = program("sagad").with_name("sagad-config-manual")
    page = re.sub(r"\\(.)", r"\1", run(generator))
    template = run(program("sagad"), "--print-config-template")
    for name, body in re.findall(r"^(\w+): \{\n(.*?)^\};", template, re.M | re.S):
        keys = re.findall(r"^\t#(\w+) =", body, re.M)
        assert re.findall(r"^\*(\w+)\*$", section(page, name.upper()), re.M) == keys


def test_every_method_code_and_field_of_the_protocol():
    page, proto = source("sagad-protocol.7"), CHECKOUT / "src" / "proto"
    methods = re.findall(r'\] = \{"([a-z._]+)", (?:true|false)\}', (proto / "request.c").read_text())
    assert re.findall(r"^\*([a-z._]+)\*$", section(page, "METHODS"), re.M) == methods
    codes = re.findall(r'\{"(\w+)", CODE_CLASS_', (CHECKOUT / "src" / "base" / "code.c").read_text())
    assert re.findall(r"^\*(\w+)\*$", section(page, "ERRORS"), re.M) == [code for code in codes if code != "none"]
    for path in sorted(proto.glob("*.c")):
        for array, body in re.findall(r"static const char \*const (\w+_names)\[\w*\] = \{(.*?)\};", path.read_text(), re.S):
            for field in re.findall(r'= "([a-z_0-9]+)"', body):
                assert array == "root_names" or re.search(rf"\b{field}\b", section(page, "METHODS")), f"{array}: {field}"


def test_every_function_of_the_library():
    header = (CHECKOUT / "include" / "sagad" / "client.h").read_text()
    functions = set(re.findall(r"^SAGAD_PUBLIC [^;(]*?\b(sagad_\w+)\(", header, re.M))
    assert len(functions) > 15
    assert set(re.findall(r"\b(sagad_\w+)\*?\(", source("libsagad.3"))) == functions


# Installation.

@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return install(tmp_path_factory.mktemp("root"))


def test_everything_is_installed(root):
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    names = {os.path.basename(path) for path in found}
    assert {"sagad", "sagactl", "libsagad.a", "client.h", "sagad.pc", "sagad.conf", "sagad.service", "sagad.socket",
            "sagad-admin.socket", "sagad.8", "sagactl.1", "sagad.conf.5", "sagad-protocol.7", "libsagad.3"} <= names
    assert {"usr/lib/systemd/system/sagad.service", "usr/lib/sysusers.d/sagad.conf"} <= found
    assert any(path.endswith("share/bash-completion/completions/sagactl") for path in found)
    assert "sagad-config-manual" not in names and "seccomp_launcher" not in names
    secrets = next(path for path in root.rglob("secrets") if path.is_dir())
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert not re.search(r"@\w+@", next(root.rglob("sagad.service")).read_text())


def test_the_pages_are_read_without_complaint(root):
    pages = [path for path in root.rglob("man*/*") if path.is_file()]
    assert len(pages) == 5
    for page in pages:
        told = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True,
                              env={**os.environ, "MANPAGER": "cat", "MAN_KEEP_FORMATTING": "0"})
        assert told.returncode == 0 and not told.stderr and len(told.stdout) > 1000, (page, told.stderr)


def test_a_program_is_built_with_pkg_config(root, tmp_path):
    (tmp_path / "main.c").write_text("#include <sagad/client.h>\nint main(void) { sagad_close(NULL); return 0; }\n")
    folder = next(root.rglob("sagad.pc")).parent
    yyjson = CHECKOUT / "build" / "deps" / "yyjson" / "pkgconfig"  # which sagad.pc names, where the machine has none
    environ = {**os.environ, "PKG_CONFIG_PATH": f"{folder}:{yyjson}", "PKG_CONFIG_SYSROOT_DIR": str(root),
               "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}
    flags = run("pkg-config", "--cflags", "--libs", "sagad", env=environ).split()
    assert "-lsagad" in flags
    shared = next(root.rglob("libsagad.so"))
    if "__asan_init" in run("nm", "-D", str(shared)):  # what a sanitized library needs of its program
        flags.append("-fsanitize=address,undefined")
    run("cc", str(tmp_path / "main.c"), "-o", str(tmp_path / "main"), *flags,
        "-Wl,--allow-shlib-undefined")
    libraries = [shared.parent, *{path.parent for path in yyjson.parent.rglob("libyyjson.so*")}]
    run(str(tmp_path / "main"), env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries))})


def complete(*words):
    script = (f"PATH={program('sagactl').parent}:$PATH; source {CHECKOUT / 'conf' / 'sagactl.bash'}; "
              f"COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _sagactl; "
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return run("bash", "-c", script).split()


def test_bash_completes_commands_options_and_levels():
    assert sorted(complete("sagactl", "")) == sorted(commands())
    assert complete("sagactl", "rel") == ["reload"]
    assert complete("sagactl", "--json", "sta") == ["status", "stats"]
    assert "--failed=" in complete("sagactl", "load", "--f") and "--json" in complete("sagactl", "load", "--")
    assert complete("sagactl", "log-level", "w") == ["warn"]


# docs/operations.md.

def test_every_alert_has_its_entry():
    page = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    alerts = re.findall(r"^ +- alert: (\w+)$", (CHECKOUT / "conf/prometheus/alerts.yml").read_text(), re.M)
    entries = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", page.split("\n## Alerts\n")[1], re.M | re.S))
    assert sorted(entries) == sorted(alerts)
    assert all("*Look*:" in text and "*Do*:" in text for text in entries.values())


def test_the_operators_page_names_what_there_is():
    page = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    template = run(program("sagad"), "--print-config-template")
    keys = {f"{name}.{key}" for name, body in re.findall(r"^(\w+): \{\n(.*?)^\};", template, re.M | re.S)
            for key in re.findall(r"^\t#(\w+) =", body, re.M)}
    sections = {key.split(".")[0] for key in keys}
    named = {word for word in re.findall(r"`(\w+\.\w+)", page) if word.split(".")[0] in sections}
    assert named and named <= keys, named - keys
    assert set(re.findall(r"sagactl ([a-z-]+)", page)) <= set(commands())
    codes = re.findall(r"^\| (\d) \|", page, re.M)
    assert codes == ["1", "2", "3", "4"]
