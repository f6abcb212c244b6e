"""The image and compose.yml, as far as they can be tried without Docker: what compose.yml promises,
and the image's steps in an empty folder. The workflow image.yml builds the image itself."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml

from loader import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DASHBOARD = (ROOT / "hosting/docker/dashboard.Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yml").read_text(encoding="utf-8"))
SCRIPTS = ROOT / "hosting/docker"

# A tag that at least names a major version, so that a build is not another one each month.
_PINNED = re.compile(r"[a-z]+:[0-9]+[0-9.]*-[a-z-]+")


def steps(file: str) -> list[list[tuple[str, str]]]:
    """The instructions of a Dockerfile, stage by stage."""
    text = re.sub(r"(?m)^#.*\n", "", file).replace("\\\n", " ")
    found = [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]
    stages: list[list[tuple[str, str]]] = []
    for name, words in found:
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, words))
    return stages


BUILD, FINAL = steps(DOCKERFILE)
(BOARD,) = steps(DASHBOARD)


def copied() -> list[str]:
    """The files and folders that the images take from the project."""
    return [
        source
        for name, words in BUILD + FINAL + BOARD
        if name == "COPY" and not words.startswith("--from")
        for source in words.split()[:-1]
    ]


def is_ignored(path: str) -> bool:
    """By .dockerignore, whose last line that matches decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            parts = [path, *map(str, PurePosixPath(path).parents)][:-1]
            if any(fnmatch.fnmatch(part, pattern.removeprefix("**/")) for part in parts):
                ignored = not line.startswith("!")
    return ignored


# ------------------------------------------------------------------------------- what files promise


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    assert len(copied()) > 12
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not is_ignored(source), source


@pytest.mark.parametrize(
    "name", [".env", ".git", ".venv", ".postgres", "tests/loader", "secrets", "notes.xlsx"]
)
def test_nothing_else_gets_into_the_image(name: str) -> None:
    assert is_ignored(name)
    assert not any(fnmatch.fnmatch(name, source) for source in copied())


def test_images_are_pinned() -> None:
    bases = [words.split()[0] for name, words in BUILD + FINAL + BOARD if name == "FROM"]
    assert len(set(bases)) == 1
    assert _PINNED.fullmatch(bases[0])
    assert _PINNED.fullmatch(COMPOSE["services"]["postgres"]["image"])


def test_packages_are_those_of_the_lock_file_and_need_no_compiler() -> None:
    (install,) = [words for _, words in BUILD if "-r requirements.lock" in words]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install


@pytest.mark.parametrize("stage", [FINAL, BOARD], ids=["ringostat", "dashboard"])
def test_an_image_runs_as_a_user_who_is_not_root_and_knows_no_key(
    stage: list[tuple[str, str]],
) -> None:
    (user,) = [words for name, words in stage if name == "USER"]
    assert user == "10001:10001"
    assert stage.index(("USER", user)) > max(
        index for index, (name, _) in enumerate(stage) if name in ("RUN", "COPY")
    )
    (environment,) = [words for name, words in stage if name == "ENV"]
    assert not re.search(r"KEY|PASSWORD|SECRET|URL", environment)
    assert not [words for name, words in BUILD + stage if name == "ARG"]


def test_the_dashboard_is_started_only_when_asked_and_listens_on_this_machine() -> None:
    service = COMPOSE["services"]["dashboard"]
    assert service["profiles"] == ["dashboard"]
    assert service["build"]["dockerfile"] == "hosting/docker/dashboard.Dockerfile"
    assert service["secrets"] == ["PGPASSWORD"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    (volume,) = service["volumes"]
    name, home = volume.split(":")
    assert name in COMPOSE["volumes"]
    (command,) = [json.loads(words) for name, words in BOARD if name == "CMD"]
    assert command[:3] == ["with-secrets", "python", "bi/superset/serve.py"]
    every_address = "0.0.0.0"  # noqa: S104 - of the container, whose port Compose publishes
    assert command[3:] == ["--host", every_address, "--home", home]
    (install,) = [words for name, words in BOARD if name == "RUN" and "requirements.lock" in words]
    assert "--require-hashes" in install


def test_compose_holds_no_key_and_shows_none() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        shown = {
            variable
            for variable in service["environment"]
            if re.search(r"KEY|PASSWORD(?!_FILE)|ALERT", variable)
        }
        assert not shown, name
        assert "env_file" not in service
        assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    assert COMPOSE["secrets"] == {name: {"environment": name} for name in COMPOSE["secrets"]}
    assert set(services["ringostat"]["secrets"]) == set(COMPOSE["secrets"])
    file = services["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"]
    assert PurePosixPath(file) == PurePosixPath("/run/secrets", *services["postgres"]["secrets"])


def test_what_compose_asks_for_is_in_the_example_of_env() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    text = (ROOT / "compose.yml").read_text(encoding="utf-8")
    # Compose refuses a secret whose variable is missing.
    asked = {*re.findall(r"(?<!\$)\$\{([A-Z_]+)", text), *COMPOSE["secrets"]}
    assert asked <= set(re.findall(r"(?m)^([A-Z_]+)=", example))


def test_data_survive_and_are_not_open_to_the_network() -> None:
    services = COMPOSE["services"]
    volumes = [volume.rsplit(":", 1)[0] for volume in services["postgres"]["volumes"]]
    assert volumes == ["postgres"]
    assert "postgres" in COMPOSE["volumes"]
    assert all(port.startswith("127.0.0.1:") for port in services["postgres"]["ports"])
    assert "ports" not in services["ringostat"]
    config = [volume for volume in services["ringostat"]["volumes"] if ":/config" in volume]
    assert len(config) == 1
    assert config[0].endswith(":/config:ro")


def test_compose_runs_commands_of_the_image() -> None:
    program, seconds, *command = COMPOSE["services"]["ringostat"]["command"]
    assert (SCRIPTS / program).stat().st_mode & 0o111
    assert int(seconds) == 3600
    assert command == ["ringostat", "run"]
    health = COMPOSE["services"]["ringostat"]["healthcheck"]["test"]
    assert health == ["CMD", "ringostat", "status", "--check"]


def test_the_override_of_the_docs_adds_to_what_is_there() -> None:
    page = (ROOT / "docs/hosting.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- override -->\n```yaml\n(.*?)```", page, re.DOTALL)
    override = yaml.safe_load(block)
    assert set(override["services"]) <= set(COMPOSE["services"])
    assert override["services"]["ringostat"]["secrets"] == list(override["secrets"])
    assert "127.0.0.1:5433" in page
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".env", "compose.override.yml"} <= set(ignored)


# ------------------------------------------------------------------------------------- the scripts


def test_each_secret_with_the_name_of_a_variable_becomes_it(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "RINGOSTAT_AUTH_KEY").write_text("a key with $HOME and 'quotes'\n")
    (secrets / "RINGOSTAT_KEY_2").write_text("second")
    for name in ("db-password", "2ND", "kubernetes.io"):
        (secrets / name).write_text("not for us")
    program = tmp_path / "program"
    program.write_text(
        '#!/bin/sh\nprintf "%s|" "$RINGOSTAT_AUTH_KEY" "$RINGOSTAT_KEY_2" "$@"; env\n'
    )
    program.chmod(0o755)
    script = (SCRIPTS / "with-secrets").read_text().replace("/run/secrets", str(secrets))
    run = subprocess.run(
        ["sh", "-c", script, "-", program, "run", "a b"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.startswith("a key with $HOME and 'quotes'|second|run|a b|")
    assert "not for us" not in run.stdout


def test_without_secrets_the_command_runs_all_the_same(tmp_path: Path) -> None:
    script = (SCRIPTS / "with-secrets").read_text().replace("/run/secrets", str(tmp_path / "none"))
    run = subprocess.run(
        ["sh", "-c", script, "-", "echo", "ran status"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (run.stdout, run.stderr) == ("ran status\n", "")


def every(folder: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPTS / "every", "1", "bash", "-c", command],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(file: Path, text: str) -> None:
    deadline = time.monotonic() + 30
    while not file.exists() or text not in file.read_text():
        assert time.monotonic() < deadline, file
        time.sleep(0.02)


def test_a_failed_run_is_followed_by_the_next_one(tmp_path: Path) -> None:
    looping = every(tmp_path, "echo run >> runs; exit 1")
    try:
        wait_for(tmp_path / "runs", "run\nrun\n")
    finally:
        looping.send_signal(signal.SIGTERM)
    assert looping.wait(30) == 0
    assert looping.stdout.read() == ""


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    reason="the tests run in the background of a shell, where no child can hear Ctrl-C",
)
def test_a_stop_reaches_the_run_and_waits_for_its_end(tmp_path: Path) -> None:
    """Also where the run stops a child of its own with Ctrl-C, as `ringostat run` does with dbt."""
    program = """
        python3 -c 'if True:
            import signal, time
            assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
            open("child", "w").write("ready")
            time.sleep(60)' &
        child=$!
        trap 'kill -INT $child; wait $child; echo ended > end; exit 1' TERM
        wait $child
    """
    looping = every(tmp_path, f"set -m; {program}")
    wait_for(tmp_path / "child", "ready")
    looping.send_signal(signal.SIGTERM)
    assert looping.wait(30) == 0
    looping.stdout.close()
    assert (tmp_path / "end").read_text() == "ended\n"


# ----------------------------------------------------------------------------- the image's steps

# Folders of the image; here they are below a folder of the test's.
_FOLDERS = re.compile(r"(?<![\w/.])/(?=opt/|var/lib/|usr/local/|config\b|run/secrets)")


class Image:
    """What the Dockerfile's steps make below `root` instead of `/`.

    Packages are not installed again: those of this virtual environment are of the same lock file.
    """

    def __init__(self, root: Path, context: Path, user: list[str], python: str) -> None:
        self.root = root
        self.context = context
        self.python = python
        self.chown = "chown 65534:65534" if user else "chmod 755"
        self.folder = root / "opt/ringostat-marts"
        self._stage(BUILD)
        # As in Docker, the two stages have the same paths.
        self.earlier = root.rename(root.with_name("build"))
        self._stage(FINAL)

    def here(self, text: str) -> str:
        return _FOLDERS.sub(f"{self.root}/", text)

    @property
    def environment(self) -> dict[str, str]:
        (words,) = [words for name, words in FINAL if name == "ENV"]
        return dict(word.split("=", 1) for word in shlex.split(self.here(words)))

    def _stage(self, stage: list[tuple[str, str]]) -> None:
        self.folder.mkdir(parents=True)
        for name, words in stage:
            if name == "COPY":
                self._copy(*words.split())
            # pip of the base image, and a user: this machine's are left alone.
            elif name == "RUN" and not words.startswith(("python -m pip", "useradd")):
                self._run(words)

    def _run(self, command: str) -> None:
        if "-r requirements.lock" in command:
            (packages,) = (self.root / "opt/venv/lib").glob("python*/site-packages")
            (packages / "shared.pth").write_text(f"{site.getsitepackages()[0]}\n")
            # The lock file brings a newer one than the virtual environment has.
            self._run("/opt/venv/bin/pip uninstall --quiet --yes setuptools")
            return
        command = command.replace("chown ringostat:ringostat", self.chown)
        command = command.replace("python -m venv", f"{self.python} -m venv")
        run = subprocess.run(
            ["sh", "-ec", self.here(command)],
            cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"{command}\n{run.stdout}"

    def _copy(self, *words: str) -> None:
        *sources, target = words
        origin = self.context
        if sources[0] == "--from=build":
            origin = self.earlier
            sources.pop(0)
        into = self.folder / self.here(target)
        for name in sources:
            source = origin / name.lstrip("/")
            if source.is_dir():
                shutil.copytree(source, into, symlinks=True, dirs_exist_ok=True)
            else:
                into.mkdir(parents=True, exist_ok=True)
                copy = Path(shutil.copy2(source, into))
                if "usr/local" in str(into):
                    copy.write_text(self.here(copy.read_text()))


@pytest.fixture(scope="module")
def user() -> tuple[list[str], str]:
    """How to be a user who may not write to the project, and a Python that this user can run.

    As root that is nobody, unless root's Python and packages are in a folder of root's own.
    """
    own = f"{sys.base_prefix}/bin/python3"
    if os.getuid() != 0:
        return [], own
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    look = f"import sys; sys.path.append({site.getsitepackages()[0]!r}); import dbt.version"
    for python in (own, f"/usr/bin/python3.{sys.version_info.minor}"):
        looked = [*nobody, "sh", "-c", '"$0" -c "$1"', python, look]
        if subprocess.call(looked, stderr=subprocess.DEVNULL) == 0:
            return nobody, python
    return [], own


@pytest.fixture(scope="module")
def image(user: tuple[list[str], str]) -> Iterator[Image]:
    # The demo's Postgres takes no long path for its socket.
    folder = Path(tempfile.mkdtemp(prefix="img"))
    folder.chmod(0o755)
    context = folder / "context"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).exists() and not is_ignored(name):
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, context / name)
    try:
        made = Image(folder / "root", context, *user)
        for writable in ("var/lib/ringostat", "config", "tmp"):
            (made.root / writable).mkdir(parents=True)
            (made.root / writable).chmod(0o777)
        yield made
    finally:
        shutil.rmtree(folder)


def in_the_image(
    image: Image, user: tuple[list[str], str], *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*user[0], *command],
        cwd=image.folder,
        env={
            **image.environment,
            "HOME": f"{image.root}/var/lib/ringostat",
            "TMPDIR": f"{image.root}/tmp",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_no_tool_to_build_with_is_left(image: Image) -> None:
    for tool in ("pip", "setuptools"):
        assert not list((image.root / "opt/venv").glob(f"lib/python*/site-packages/{tool}"))
    assert not list((image.root / "opt/venv/bin").glob("pip*"))


@pytest.mark.slow
def test_init_and_check_work_in_the_image(image: Image, user: tuple[list[str], str]) -> None:
    made = in_the_image(image, user, "ringostat", "init", f"{image.root}/config")
    assert made.returncode == 0, made.stdout
    checked = in_the_image(image, user, "ringostat", "channels", "check")
    assert checked.stdout == "0 faults, 0 warnings\n"
    version = in_the_image(image, user, "ringostat", "--version")
    assert re.fullmatch(r"ringostat, version [0-9.]+\n", version.stdout)


@pytest.mark.slow
def test_a_run_never_takes_the_postgres_that_ends_with_the_container(
    image: Image, user: tuple[list[str], str]
) -> None:
    refused = in_the_image(image, user, "ringostat", "status")
    assert refused.returncode == 2
    assert "cannot connect to Postgres at postgres, port 5432" in refused.stdout
    assert list((image.folder / ".postgres").iterdir()) == []


@pytest.mark.slow
@pytest.mark.embedded
def test_the_demo_runs_in_the_image_and_writes_nothing_beside_its_data(
    image: Image, user: tuple[list[str], str]
) -> None:
    before = {path for path in image.folder.rglob("*") if ".postgres" not in path.parts}
    try:
        demo = in_the_image(image, user, "ringostat", "demo")
        assert demo.returncode == 0, demo.stdout
        assert "KPI modes side by side" in demo.stdout
    finally:
        in_the_image(image, user, "ringostat", "db", "stop", PGHOST="")
    assert {path for path in image.folder.rglob("*") if ".postgres" not in path.parts} == before
    assert (image.root / "var/lib/ringostat/target/manifest.json").exists()
