"""API keys."""

import math
import os
import stat
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from gateway.errors import KeysUnavailable, Unauthorized
from gateway.key_ring import KeyRing, KeysError
from gateway.keys import add_key, main, revoke_key
from tests.gateway.running import JPEG, Running, Serve, hold_inferences, in_background
from tests.gateway.stub import Start, StubTriton, picture
from tests.waiting import wait_until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_key_is_kept_only_as_its_hash(file: Path) -> None:
    key = add_key(file, "alice")
    assert key not in file.read_text()
    assert file.read_text().startswith("alice:sha256:")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KeyRing(file).check(key).name == "alice"


@pytest.mark.parametrize("presented", ["", "el_wrong", "x" * 10_000, "\udcff", "alice"])
def test_anything_else_is_unauthorised(file: Path, presented: str) -> None:
    add_key(file, "alice")
    with pytest.raises(Unauthorized):
        KeyRing(file).check(presented)


def test_a_key_that_nobody_has_seen_is_not_added(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w", buffering=1) as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert main(["--file", str(file), "add", "alice"]) == 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # lest closing it fail, too
    told = "edgelens: no key was added: it cannot be shown (No space left on device)\n"
    assert capsys.readouterr().err == told
    assert add_key(file, "alice")


def test_a_revoked_key_is_invalid_without_a_restart(file: Path) -> None:
    alice, bob = add_key(file, "alice"), add_key(file, "bob", rate=2.5)
    ring = KeyRing(file)
    assert ring.check(bob).rate == 2.5
    revoke_key(file, "alice")
    with pytest.raises(Unauthorized):
        ring.check(alice)
    assert ring.check(bob).name == "bob"
    carol = add_key(file, "carol")
    assert ring.check(carol).name == "carol"


def test_an_edit_in_place_that_keeps_the_size_and_the_time_is_noticed(file: Path) -> None:
    key = add_key(file, "alice")
    os.utime(file, (0, 0))
    ring = KeyRing(file)
    file.write_text(file.read_text().replace("alice", "clara"))
    os.utime(file, (0, 0))
    assert ring.check(key).name == "clara"


class OnOldKernel(type(Path())):
    """A file that changes so fast that its time stays the same, as kernels before 6.13 have it."""

    now = time.time_ns() + 3600 * 10**9  # later than any test ends

    def stat(self, *, follow_symlinks: bool = True) -> SimpleNamespace:
        found = super().stat(follow_symlinks=follow_symlinks)
        size, inode, mode = found.st_size, found.st_ino, found.st_mode
        return SimpleNamespace(st_ctime_ns=self.now, st_size=size, st_ino=inode, st_mode=mode)


def test_an_edit_at_once_that_keeps_the_size_is_noticed(file: Path) -> None:
    key = add_key(file, "alice")
    ring = KeyRing(OnOldKernel(file))
    file.write_text(file.read_text().replace("alice", "clara"))
    assert ring.check(key).name == "clara"


def test_through_a_link_the_file_itself_is_changed(file: Path) -> None:
    key = add_key(file, "alice")
    link = file.with_name("link")
    link.symlink_to(file)
    revoke_key(link, "alice")
    assert link.is_symlink()
    with pytest.raises(Unauthorized):
        KeyRing(file).check(key)


def test_a_file_that_others_may_read_stays_readable_for_them(file: Path) -> None:
    add_key(file, "alice")
    file.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(file, 10001, 10001)
    before = file.stat()
    add_key(file, "bob")
    revoke_key(file, "alice")
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_what_else_stands_in_the_file_stays_there(file: Path) -> None:
    ours = f"# für Jürgen\nci:sha256:{'0' * 64}:0  # exempt\n\n"
    file.write_text(ours, encoding="utf-8")
    add_key(file, "alice")
    assert file.read_text(encoding="utf-8").startswith(ours)
    revoke_key(file, "alice")
    assert file.read_text(encoding="utf-8") == ours
    revoke_key(file, "ci")
    assert file.read_text(encoding="utf-8") == "# für Jürgen\n\n"


def test_a_file_that_is_no_text_is_one_sentence(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = add_key(file, "alice")
    ring = KeyRing(file)
    file.write_bytes("# für Jürgen\n".encode("latin-1") + file.read_bytes())
    with pytest.raises(KeysUnavailable):
        ring.check(key)
    with pytest.raises(KeysError, match="UTF-8"):
        KeyRing(file)
    assert main(["--file", str(file), "list"]) == 1
    assert "UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_no_file_is_one_sentence_and_nobody_waits_for_it(
    file: Path, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    key = add_key(file, "alice")
    ring = KeyRing(file)
    file.unlink()
    make(file)
    with pytest.raises(KeysUnavailable):
        ring.check(key)
    with pytest.raises(KeysError, match="is not a file"):
        KeyRing(file)
    for command in (["list"], ["add", "bob"], ["revoke", "alice"]):
        assert main(["--file", str(file), *command]) == 1
        assert capsys.readouterr().err == f"edgelens: {file} is not a file\n"


def test_keys_that_are_added_at_the_same_time_are_all_kept(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: add_key(file, f"key{number}"), range(40)))
    ring = KeyRing(file)
    assert [ring.check(key).name for key in keys] == [f"key{number}" for number in range(40)]


@pytest.mark.parametrize("end", [OSError, KeyboardInterrupt])
def test_a_file_that_cannot_be_replaced_stays_as_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    def fail(_: int) -> None:
        raise end

    key = add_key(file, "alice")
    with pytest.raises(KeysError):
        add_key(file, "alice")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(end):
        add_key(file, "bob")
    assert KeyRing(file).check(key).name == "alice"
    assert {entry.name for entry in file.parent.iterdir()} == {"keys", ".keys.lock"}


@pytest.mark.parametrize("rate", [0.000001, 0.00001, 0.1, 1.0, 20.0, 100000.0, 999999.999999])
def test_every_rate_that_is_accepted_can_be_read_again(file: Path, rate: float) -> None:
    key = add_key(file, "alice", rate)
    assert KeyRing(file).check(key).rate == rate


@pytest.mark.parametrize("rate", [0.0, 1e-7, 999999.9999999, 1e6, math.inf, math.nan])
def test_no_other_rate_is_written(file: Path, rate: float) -> None:
    with pytest.raises(KeysError, match="rate"):
        add_key(file, "alice", rate)
    assert not file.exists()


def test_a_file_that_is_gone_or_broken_lets_nobody_in(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = add_key(file, "alice")
    ring = KeyRing(file)
    good = file.read_text()
    file.write_text("alice:plain:secret\n")
    with pytest.raises(KeysUnavailable):
        ring.check(key)
    file.unlink()
    with pytest.raises(KeysUnavailable):
        ring.check(key)
    with pytest.raises(Unauthorized):
        ring.check("")
    broken = "line 1 is not name:sha256:<64 hex digits>[:<rate>]"
    assert caplog.messages == [
        f"no API key can be checked: API_KEYS_FILE {file}: {reason}"
        for reason in (broken, "No such file or directory")
    ]
    file.write_text("# ours\n\n" + good)
    for _ in range(2):
        assert ring.check(key).name == "alice"
    assert caplog.messages[2:] == ["API keys can be checked again"]


def test_a_broken_file_stops_the_start(file: Path) -> None:
    with pytest.raises(KeysError, match=f"^API_KEYS_FILE {file}: No such file or directory$"):
        KeyRing(file)
    file.write_text("alice\n")
    with pytest.raises(KeysError, match=r"API_KEYS_FILE .*line 1"):
        KeyRing(file)


def test_the_command_line_adds_lists_and_revokes(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--file", str(file)]
    assert main([*where, "add", "alice", "--rate", "3"]) == 0
    key = capsys.readouterr().out.strip()
    assert KeyRing(file).check(key).rate == 3
    add_key(file, "bob")
    add_key(file, "carol", 1)
    assert main([*where, "list"]) == 0
    listed = "alice (3 requests a second)\nbob\ncarol (1 request a second)\n"
    assert capsys.readouterr().out == listed
    for name in ("alice", "bob", "carol"):
        assert main([*where, "revoke", name]) == 0
    assert file.read_text() == ""


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["add", "alice"], "already"),
        (["add", "a:b"], "letters"),
        (["add", "bob", "--rate", "-1"], "rate"),
        (["revoke", "nobody"], "no key named nobody"),
    ],
    ids=["twice", "name", "rate", "unknown"],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], command: list[str], complaint: str
) -> None:
    add_key(file, "alice")
    assert main(["--file", str(file), *command]) == 1
    assert complaint in capsys.readouterr().err


def test_a_path_that_means_nothing_is_told_what_to_give(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--file", "~nobody-of-this-name/keys", "list"])
    assert "give a full path; this home directory is unknown" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--file", str(tmp_path / "keys"), "list"]) == 1
    assert f"there is no file {tmp_path / 'keys'}" in capsys.readouterr().err


def test_a_directory_that_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "missing/keys"
    assert main(["--file", str(file), "add", "alice"]) == 1
    said = f"edgelens: user {os.getuid()} cannot use {file}: No such file or directory\n"
    assert capsys.readouterr().err == said


def test_a_mark_at_the_files_beginning_does_not_matter(file: Path) -> None:
    key = add_key(file, "alice")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert KeyRing(file).check(key).name == "alice"


def test_a_damaged_file_is_logged_once_and_not_for_each_request(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = add_key(file, "alice")
    ring = KeyRing(file)
    good = file.read_text()
    for times in (1, 2):
        file.write_text("nonsense\n")
        for _ in range(3):
            with pytest.raises(KeysUnavailable):
                ring.check(key)
        assert sum("no API key" in text for text in caplog.messages) == times
        file.write_text(good)
        ring.check(key)


def test_the_file_may_come_from_the_environment(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_KEYS_FILE", raising=False)
    for _ in ("absent", "empty"):
        assert main(["list"]) == 1
        assert "set API_KEYS_FILE" in capsys.readouterr().err
        monkeypatch.setenv("API_KEYS_FILE", "")
    monkeypatch.setitem(os.environ, "API_KEYS_FILE", str(file))
    assert main(["add", "alice"]) == 0


def test_with_keys_configured_the_api_needs_one(start: Start, file: Path) -> None:
    key = add_key(file, "alice", rate=0.5)
    gateway = start(api_keys_file=file)
    for path, method in (("/v1/models", "GET"), ("/v1/classify", "POST"), ("/predict", "POST")):
        refused = gateway.client.open(path, method=method)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        assert "Authorization: Bearer" in refused.get_json()["error"]["message"]
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert gateway.client.get("/v1/models", headers=headers).status_code == 200
    assert gateway.client.get("/healthz").status_code == 200
    body = {"data": picture(), "content_type": "image/jpeg", "headers": {"X-API-Key": key}}
    assert gateway.client.post("/v1/classify", **body).status_code == 200
    assert gateway.client.post("/v1/classify", **body).status_code == 429


def test_each_key_has_a_share_of_its_own_though_the_address_is_the_same(
    serve: Serve, triton: StubTriton, file: Path
) -> None:
    keys = [add_key(file, name) for name in ("alice", "bob")]
    running = serve(api_keys_file=file)
    running.admission.limit = 2
    hold = hold_inferences(triton)
    asked = [in_background(lambda key=key: post_with_key(running, key)) for key in keys]
    wait_until(lambda: running.admission.in_flight == 2, "all places are taken", 10)
    refused = post_with_key(running, keys[0])
    stranger = post_with_key(running, "el_unknown")
    hold.set()
    for thread, answers in asked:
        thread.join(20)
        assert answers[0].status_code == 200
    assert refused.status_code == 429  # without a share of its own it would not be its fault: 503
    assert stranger.status_code == 401
    assert "Bearer" in stranger.headers["WWW-Authenticate"]


def post_with_key(running: Running, key: str) -> requests.Response:
    headers = {**JPEG, "X-API-Key": key}
    return requests.post(f"{running.url}/v1/classify", data=picture(), headers=headers, timeout=20)


def test_a_broken_file_is_not_the_callers_mistake(start: Start, file: Path) -> None:
    key = add_key(file, "alice")
    gateway = start(api_keys_file=file)
    file.write_text("nonsense\n")
    for path, method in (("/v1/models", "GET"), ("/v1/classify", "POST"), ("/predict", "POST")):
        refused = gateway.client.open(path, method=method, headers={"X-API-Key": key})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert refused.get_json()["error"]["code"] == "keys_unavailable"


def test_without_keys_each_address_has_the_rate(start: Start) -> None:
    gateway = start(client_rate=0.5)
    assert gateway.classify().status_code == 200
    limited = gateway.classify()
    assert limited.status_code == 429
    assert limited.headers["Retry-After"] == "2"
    metrics = gateway.client.get("/metrics").get_data(as_text=True)
    assert 'edgelens_rejections_total{reason="too_many_requests"} 1.0' in metrics
