"""Known host keys: what is known, what is refused, what is written."""

import base64
import hashlib
import hmac
import stat
from pathlib import Path

import pytest

from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.errors import ChangedHostKeyError, UnknownHostKeyError
from partition_studio.fleet.ssh.hostkeys import Confirmation, HostKey, HostKeys

BOARD = SshAddress("edge", "board")
OTHER_PORT = SshAddress("edge", "board", 2222)
KEY = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519 one")
OTHER = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519 two")
ECDSA = HostKey("ecdsa-sha2-nistp256", b"ecdsa")
GATE = SshAddress("edge", "gate")


def line(name: str, key: HostKey, marker: str = "") -> str:
    return f"{marker}{name} {key.key_type} {base64.b64encode(key.blob).decode()} a comment\n"


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def user_keys(tmp_path: Path, text: str) -> HostKeys:
    (tmp_path / "user").write_text(text)
    return HostKeys(tmp_path / "own" / "known_hosts", tmp_path / "user")


def test_a_first_contact_is_refused_with_the_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(UnknownHostKeyError) as refused:
        HostKeys(tmp_path / "known_hosts").verify(BOARD, KEY)
    assert refused.value.details["fingerprint"] == KEY.fingerprint
    assert refused.value.details["key_type"] == "ssh-ed25519"
    assert not (tmp_path / "known_hosts").exists()


def test_a_trusted_key_is_known_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "own" / "known_hosts")
    keys.trust(BOARD, KEY, KEY.fingerprint)
    HostKeys(tmp_path / "own" / "known_hosts").verify(BOARD, KEY)
    assert stat.S_IMODE((tmp_path / "own" / "known_hosts").stat().st_mode) == 0o600


def test_trust_files_a_key_once_and_keeps_the_others(tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    keys.trust(BOARD, KEY, KEY.fingerprint)
    keys.trust(OTHER_PORT, OTHER, OTHER.fingerprint)
    keys.trust(BOARD, KEY, KEY.fingerprint)
    assert len((tmp_path / "known_hosts").read_text().splitlines()) == 2
    keys.verify(BOARD, KEY)
    keys.verify(OTHER_PORT, OTHER)


def test_trust_refuses_another_fingerprint_than_the_confirmed_one(tmp_path: Path) -> None:
    with pytest.raises(ChangedHostKeyError):
        HostKeys(tmp_path / "known_hosts").trust(BOARD, KEY, OTHER.fingerprint)
    assert not (tmp_path / "known_hosts").exists()


def test_a_changed_key_is_refused_with_both_fingerprints_and_its_line(tmp_path: Path) -> None:
    keys = user_keys(tmp_path, "# mine\n\n" + line("board", KEY))
    with pytest.raises(ChangedHostKeyError) as refused:
        keys.verify(BOARD, OTHER)
    details = refused.value.details
    assert (details["known_fingerprint"], details["presented_fingerprint"]) == (KEY.fingerprint, OTHER.fingerprint)
    assert (details["file"], details["line"]) == (str(tmp_path / "user"), 3)
    with pytest.raises(ChangedHostKeyError):
        keys.trust(BOARD, OTHER, OTHER.fingerprint)


def test_a_key_of_another_type_is_a_changed_key(tmp_path: Path) -> None:
    with pytest.raises(ChangedHostKeyError):
        user_keys(tmp_path, line("board", KEY)).verify(BOARD, ECDSA)


def test_a_forgotten_key_is_unknown_again(tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    keys.trust(BOARD, KEY, KEY.fingerprint)
    keys.trust(OTHER_PORT, OTHER, OTHER.fingerprint)
    assert keys.forget(BOARD) == 1
    with pytest.raises(UnknownHostKeyError):
        keys.verify(BOARD, KEY)
    keys.verify(OTHER_PORT, OTHER)


@pytest.mark.parametrize("name", ["board", "alpha,board", "b*d", "*", "BOARD", hashed("board")])
def test_the_users_own_file_is_honoured_in_every_form(tmp_path: Path, name: str) -> None:
    user_keys(tmp_path, line(name, KEY)).verify(BOARD, KEY)


@pytest.mark.parametrize(
    "name",
    ["boards", "[board]:2222", "*,!board", hashed("other"), "|1|broken", "@cert-authority *"],
)
def test_lines_of_other_hosts_do_not_count(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownHostKeyError):
        user_keys(tmp_path, line(name, KEY)).verify(BOARD, KEY)


def test_a_host_on_another_port_has_its_own_key(tmp_path: Path) -> None:
    keys = user_keys(tmp_path, line("[board]:2222", KEY))
    keys.verify(OTHER_PORT, KEY)
    with pytest.raises(UnknownHostKeyError):
        keys.verify(BOARD, KEY)


def test_a_revoked_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChangedHostKeyError, match="revoked"):
        user_keys(tmp_path, line("board", KEY) + line("board", KEY, "@revoked ")).verify(BOARD, KEY)


def test_the_users_file_is_never_written(tmp_path: Path) -> None:
    keys = user_keys(tmp_path, line("other", KEY))
    before = (tmp_path / "user").read_bytes()
    keys.trust(BOARD, KEY, KEY.fingerprint)
    keys.forget(BOARD)
    assert (tmp_path / "user").read_bytes() == before


@pytest.mark.parametrize("address", ["", f"{GATE}="])
def test_a_confirmed_key_of_the_jump_host_is_not_filed_for_the_device_that_shows_it_too(
    tmp_path: Path, address: str
) -> None:
    keys, confirmed = HostKeys(tmp_path / "known_hosts"), Confirmation(address + KEY.fingerprint)
    confirmed.verify(keys, GATE, KEY, is_jump_host=True)
    with pytest.raises(UnknownHostKeyError):
        confirmed.verify(keys, BOARD, KEY, is_jump_host=False)
    assert keys.known(GATE)
    assert not keys.known(BOARD)


@pytest.mark.parametrize("address", ["", f"{GATE}="])
def test_a_confirmation_given_again_for_a_jump_host_that_is_known_now_is_not_the_devices(
    tmp_path: Path, address: str
) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    keys.trust(GATE, KEY, KEY.fingerprint)
    confirmed = Confirmation(address + KEY.fingerprint)
    confirmed.verify(keys, GATE, KEY, is_jump_host=True)
    with pytest.raises(UnknownHostKeyError):
        confirmed.verify(keys, BOARD, KEY, is_jump_host=False)


def test_a_device_with_the_same_key_as_its_jump_host_is_confirmed_by_its_own_address(tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    keys.trust(GATE, KEY, KEY.fingerprint)
    confirmed = Confirmation(f"{BOARD}={KEY.fingerprint}")
    confirmed.verify(keys, GATE, KEY, is_jump_host=True)
    confirmed.verify(keys, BOARD, KEY, is_jump_host=False)
    assert [known.key for known in keys.known(BOARD)] == [KEY]
