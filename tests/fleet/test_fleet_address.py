"""Addresses, device names and texts that people and devices give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_studio.fleet.address import LocalAddress, SshDestination, parse_address, parse_device_name
from partition_studio.fleet.errors import AddressError
from partition_studio.fleet.text import clean_text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://edge@board", SshDestination("edge", "board")),
        ("ssh://edge@Board.Lan:2222", SshDestination("edge", "Board.Lan", 2222)),
        ("ssh://board", SshDestination(None, "board")),
        ("ssh://pi@192.168.1.7:22", SshDestination("pi", "192.168.1.7", 22)),
        ("ssh://pi@[2001:db8::7]:22", SshDestination("pi", "2001:db8::7", 22)),
        ("ssh://pi@[2001:db8::7]", SshDestination("pi", "2001:db8::7")),
        ("ssh://pi@127.0.0.1:65535/", SshDestination("pi", "127.0.0.1", 65535)),
        ("local:", LocalAddress()),
    ],
)
def test_plain_addresses_say_what_was_typed_and_no_more(text: str, address: SshDestination | LocalAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "board",
        "http://board",
        "ssh://",
        "ssh://@board",
        "ssh://edge@",
        "ssh://-oProxyCommand=x@board",
        "ssh://edge@-oProxyCommand=x",
        "ssh://edge@$(reboot)",
        "ssh://edge@`id`",
        "ssh://edge@bo ard",
        "ssh://edge@board;ls",
        "ssh://edge@'board'",
        'ssh://edge@"board"',
        "ssh://ed\nge@board",
        "ssh://edge@board\n",
        "ssh://edge@board:0",
        "ssh://edge@board:65536",
        "ssh://edge@board:-1",
        "ssh://edge@board:٢٢",
        "ssh://edge@board:22/path",
        "ssh://edge:secret@board",
        "ssh://a@b@board",
        "ssh://edge@board..lan",
        "ssh://edge@2130706433",
        "ssh://edge@0177.0.0.1",
        "ssh://edge@169.254.169.254",
        "ssh://edge@169.254.1.1",
        "ssh://edge@224.0.0.1",
        "ssh://edge@255.255.255.255",
        "ssh://edge@0.0.0.0",
        "ssh://edge@[::]",
        "ssh://edge@[fe80::1]",
        "ssh://edge@[2001:db8::1%eth0]",
        "ssh://edge@[fe80::1%]",
        "ssh://edge@[fe80::1%../x]",
        "ssh://edge@[::ffff:169.254.169.254%eth0]",
        "ssh://edge@[ff02::1]",
        "ssh://edge@[::ffff:169.254.169.254]",
        "ssh://edge@[64:ff9b::a9fe:a9fe]",
        "ssh://edge@[2002:a9fe:a9fe::1]",
        "ssh://edge@[fd00:ec2::254]",
        "ssh://edge@100.100.100.200",
        "ssh://edge@0.1.2.3",
        "ssh://edge@240.0.0.1",
        "ssh://edge@2001:db8::7",
        "local",
        "local:x",
        "LOCAL:",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_address(text)
    assert refused.value.code == "bad_address"


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    for candidate in (text, f"ssh://{text}", f"ssh://edge@{text}", f"ssh://edge@board:{text}"):
        try:
            address = parse_address(candidate)
        except AddressError:
            continue
        assert parse_address(str(address)) == address


@pytest.mark.parametrize("name", ["a", "pi-4.attic_2", "7", "A" * 63])
def test_plain_names_are_taken(name: str) -> None:
    assert parse_device_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "a b", "a/b", "a\n", "ä", "A" * 64, "studio", "source", "sink", "<b>", "$(x)", "../a"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(AddressError):
        parse_device_name(name)


def test_shown_text_has_no_escapes_and_no_reversed_writing() -> None:
    assert clean_text("\x1b[31mred\x1b[0m \x1b]0;title\x07a\u202eb\x00c\u200b\nd\te") == "red abc d e"


def test_shown_text_is_bounded_at_its_beginning_and_a_log_at_its_end() -> None:
    assert clean_text("ab" * 50, limit=3) == "aba"
    assert clean_text("one\ntwo\nthree", keep_lines=True, limit=9) == "two\nthree"


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    assert "\x1b" not in clean_text(text)
    assert "\n" not in clean_text(text)
