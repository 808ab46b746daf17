"""What the studio makes of the user's SSH config."""

import getpass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_studio.fleet.address import SshAddress, parse_destination
from partition_studio.fleet.errors import AddressError, SshConfigError
from partition_studio.fleet.ssh.config import Route, SshConfig


def config(folder: Path, text: str, name: str = "config") -> SshConfig:
    file = folder / name
    file.write_text(text)
    file.chmod(0o600)
    return SshConfig(file)


def route(folder: Path, text: str, typed: str) -> Route:
    return config(folder, text).route(parse_destination(typed))


def test_a_studio_without_a_config_goes_where_the_address_says(tmp_path: Path) -> None:
    for nothing in (SshConfig(None), SshConfig(tmp_path / "missing")):
        assert nothing.route(parse_destination("ssh://Board")).target.address == SshAddress(getpass.getuser(), "board")
        assert nothing.hosts() == []


def test_an_alias_stands_for_host_user_port_and_keys(tmp_path: Path) -> None:
    text = """
    Host attic
      HostName 192.0.2.7
      User pi
      Port 2222
      IdentityFile "~/keys/attic one"
      IdentityFile ~/keys/other
      IdentitiesOnly yes
      UserKnownHostsFile ~/.ssh/lab /tmp/more
    """
    hop = route(tmp_path, text, "ssh://attic").target
    assert hop.address == SshAddress("pi", "192.0.2.7", 2222)
    assert hop.key_files == (Path.home() / "keys/attic one", Path.home() / "keys/other")
    assert hop.identities_only
    assert hop.known_hosts == (Path.home() / ".ssh/lab", Path("/tmp/more"))


def test_what_the_person_typed_wins(tmp_path: Path) -> None:
    text = "Host attic\n HostName 192.0.2.7\n User pi\n Port 2222\n"
    assert route(tmp_path, text, "ssh://edge@attic:22").target.address == SshAddress("edge", "192.0.2.7", 22)


def test_the_first_value_counts_and_patterns_match_as_for_openssh(tmp_path: Path) -> None:
    text = """
    Host *.lab !bad.lab
      User first   # a comment
    Host *
      User second
      Port=2200
    """
    assert route(tmp_path, text, "ssh://a.lab").target.address == SshAddress("first", "a.lab", 2200)
    assert route(tmp_path, text, "ssh://bad.lab").target.address.user == "second"


def test_jump_hosts_are_looked_up_themselves_and_come_in_order(tmp_path: Path) -> None:
    text = """
    Host board
      ProxyJump outer,edge@inner:2022
    Host outer
      HostName gate.example
      User gatekeeper
    Host inner
      HostName 192.0.2.9
      ProxyJump never-asked
    """
    way = route(tmp_path, text, "ssh://pi@board")
    assert [hop.address for hop in way.jumps] == [
        SshAddress("gatekeeper", "gate.example"),
        SshAddress("edge", "192.0.2.9", 2022),
    ]
    assert str(way) == "pi@board via gatekeeper@gate.example, edge@192.0.2.9:2022"


def test_a_jump_host_may_be_behind_another(tmp_path: Path) -> None:
    text = "Host a\n ProxyJump b\nHost b\n ProxyJump c\nHost c\n ProxyJump none\nHost *\n ProxyJump d\n User u\n"
    assert [hop.address.host for hop in route(tmp_path, text, "ssh://a").hops] == ["c", "b", "a"]


def test_jump_hosts_in_a_circle_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SshConfigError, match="circle"):
        route(tmp_path, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n", "ssh://a")


def test_no_command_of_the_file_is_ever_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = f"""
    Match exec "touch {marker}"
      User chosen-by-command
    Match !exec "touch {marker}" host board
      Port 1
    Match host=board
      Port 3
    Match unheard-of x
      Port 2
    Host board
      User pi
    Host other
      ProxyCommand touch {marker}
    """
    here = config(tmp_path, text)
    assert here.route(parse_destination("ssh://board")).target.address == SshAddress("pi", "board", 22)
    with pytest.raises(SshConfigError, match="ProxyCommand") as refused:
        here.route(parse_destination("ssh://other"))
    assert str(marker) not in refused.value.message, "commands may hold secrets"
    assert any("exec" in ignored for ignored in here.ignored())
    assert not marker.exists()


def test_the_first_of_jump_and_command_counts(tmp_path: Path) -> None:
    first = "Host a\n ProxyJump gate\nHost a\n ProxyCommand nc %h %p\n"
    assert len(route(tmp_path, first, "ssh://a").jumps) == 1
    assert route(tmp_path, "Host a\n ProxyCommand none\nHost *\n ProxyJump gate\n", "ssh://a").jumps == ()


def test_match_host_is_followed(tmp_path: Path) -> None:
    text = "Match all\n User edge\nMatch host board user edge\n Port 2022\nMatch host other\n Port 2023\n"
    assert route(tmp_path, text, "ssh://board").target.address == SshAddress("edge", "board", 2022)
    assert route(tmp_path, "Match originalhost b*\n Port 2022\n", "ssh://u@board").target.address.port == 2022


def test_included_files_are_put_in_place(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    config(tmp_path / "conf.d", "Host attic\n HostName 192.0.2.7\n", "1.conf")
    config(tmp_path / "conf.d", "User everywhere\n", "2.conf")
    text = "Include conf.d/*.conf\nHost cellar\n Include conf.d/2.conf\n Port 2022\n"
    here = config(tmp_path, text)
    assert here.route(parse_destination("ssh://attic")).target.address == SshAddress("everywhere", "192.0.2.7")
    assert here.route(parse_destination("ssh://cellar")).target.address.port == 2022
    assert [host.alias for host in here.hosts()] == ["attic", "cellar"]


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SshConfigError, match="include"):
        route(tmp_path, "Include config\n", "ssh://a")


@pytest.mark.parametrize(
    "line",
    [
        "HostName 169.254.169.254",
        "HostName 0.0.0.0",
        "HostName -oProxyCommand=x",
        "HostName $(reboot)",
        "HostName two words",
        "User -x",
        "User $(id)",
        "Port 0",
        "Port many",
        "ProxyJump -x",
        "ProxyJump 224.0.0.1",
        "ProxyJump user:secret@gate",
        "HostKeyAlias a b",
    ],
)
def test_what_no_address_may_be_is_refused_in_the_config_too(tmp_path: Path, line: str) -> None:
    with pytest.raises(SshConfigError):
        route(tmp_path, f"Host board\n {line}\n", "ssh://board")


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    here = config(tmp_path, "Host a\n Port 1\n")
    (tmp_path / "config").chmod(0o666)
    with pytest.raises(SshConfigError, match="others"):
        here.route(parse_destination("ssh://a"))


def test_only_aliases_that_can_be_registered_are_offered(tmp_path: Path) -> None:
    text = """
    Host attic cellar-* !x ?
      User pi
    Host relayed
      ProxyJump gate
    Host commanded
      ProxyCommand nc %h %p
    Host bad$name
      User pi
    """
    offered = {host.alias: str(host.route) for host in config(tmp_path, text).hosts()}
    me = getpass.getuser()
    assert offered == {"attic": "pi@attic", "relayed": f"{me}@relayed via {me}@gate"}


def test_a_host_key_alias_is_the_name_of_its_key(tmp_path: Path) -> None:
    address = route(
        tmp_path, "Host a\n HostName 127.0.0.1\n Port 2022\n HostKeyAlias Attic\n", "ssh://a"
    ).target.address
    assert address.known_hosts_name == "attic"


@given(st.text(max_size=300))
def test_no_config_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any-config"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    file.chmod(0o600)
    try:
        SshConfig(file).route(parse_destination("ssh://board"))
        SshConfig(file).hosts()
    except AddressError:
        return


@pytest.mark.parametrize(
    "line",
    [
        'Match\u00a0exec "touch {}"',
        'Match\u3000exec "touch {}"',
        'Match\x1fexec "touch {}"',
        'Match all\u00a0exec "touch {}"',
        'Match=\u00a0exec "touch {}"',
        '\u00a0Match exec "touch {}"',
        'Match ALL host exec "touch {}"',
        'Match !!all host exec "touch {}"',
        'Match host=x exec "touch {}"',
        "Match ALL host exec user {}",
    ],
)
def test_no_writing_of_a_condition_runs_a_command(tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    marker, command = tmp_path / "ran", tmp_path / "user"
    command.write_text(f"#!/bin/sh\ntouch {marker}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    try:
        way = route(tmp_path, line.format(marker) + "\n User wrong\nHost *\n User pi\n", "ssh://board")
        assert way.target.address == SshAddress("pi", "board")
    except SshConfigError:
        pass
    assert not marker.exists()


def test_conditions_are_read_in_any_case(tmp_path: Path) -> None:
    text = "Match Host board\n User pi\nMatch !HOST board\n User other\n"
    assert route(tmp_path, text, "ssh://board").target.address.user == "pi"
    assert route(tmp_path, text, "ssh://attic").target.address.user == "other"
