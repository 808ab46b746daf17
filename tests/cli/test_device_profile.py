"""`device profile` and `device profiles`: measured by a command, shown to a person and to a program."""

from tests.cli.conftest import Command


def test_a_profile_is_measured_shown_and_listed_and_what_is_not_there_is_named(command: Command) -> None:
    assert command("model", "add", "digits").code == 0
    assert command("device", "add", "board", "local:").code == 0
    measured = command("device", "profile", "board", "digits", "--threads", "1", "--json")
    assert measured.code == 0, measured.err
    profile = measured.document
    assert profile["device"] == "board"
    assert profile["threads"] == 1
    assert profile["energy"] is None
    assert len(profile["layers"]) >= len(profile["kernels"]) > 0
    shown = command("device", "profile", "board", "digits", "--threads", "1")
    assert shown.code == 0, shown.err
    assert "slowest layers" in shown.out
    assert "no sensor" in shown.out
    listed = command("device", "profiles", "--json")
    assert [summary["id"] for summary in listed.document] == [profile["id"]]
    assert "board" in command("device", "profiles").out
    assert len(command("device", "profiles", "board", "digits", "--json").document) == 1
    assert command("device", "add", "other", "local:").code == 0
    assert command("device", "profiles", "other", "--json").document == []
    assert command("device", "profiles", "nobody").code == 3
    missing = command("device", "profile", "nowhere", "digits", "--json")
    assert missing.code == 3
    assert "nowhere" in missing.error["message"]
    unknown = command("device", "profile", "nowhere", "no-such-model", "--json")
    assert unknown.code == 3
    assert "no-such-model" in unknown.error["message"]
