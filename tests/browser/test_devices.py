"""Devices in the browser: added, imported, refused, profiled, measured, calibrated; with a real sshd among them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from partition_studio.schemas import DeviceIn, DeviceOut, ProfileSummaryOut
from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.sshd import SshServer
from tests.studio import RunningStudio

pytestmark = pytest.mark.browser

PATIENCE_MS = 90_000

#: What stands where there is no figure.
ABSENT = "\N{EN DASH}"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """A studio with a model and two devices on this machine."""
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        running.services.models.add_example("digits")
        for name in ("desk-1", "desk-2"):
            running.services.devices.add(DeviceIn(name=name, address="local:"))
        yield running


def devices_page(browser: Browser, studio: RunningStudio, **options: object) -> tuple[Page, list[str]]:
    _, page, errors = open_page(browser, studio, **options)
    page.goto(f"{studio.url}/devices")
    expect(page.get_by_test_id("add-device")).to_be_visible(timeout=PATIENCE_MS)
    return page, errors


def unexpected(errors: list[str]) -> list[str]:
    """What the console says beyond that a request was refused, as with the question about a host key."""
    return [error for error in errors if not re.search(r"status of 502 .*/api/devices\b", error)]


def device_named(studio: RunningStudio, name: str) -> DeviceOut:
    return next(device for device in studio.services.devices.all() if device.name == name)


def add_local(page: Page, name: str) -> None:
    page.get_by_test_id("add-device").click()
    page.get_by_text("A process on this machine", exact=True).click()
    page.get_by_test_id("device-name").fill(name)
    page.get_by_test_id("device-submit").click()
    expect(page.get_by_test_id(f"state-{name}")).to_have_text(re.compile("^ready"), timeout=PATIENCE_MS)


def add_board(page: Page, name: str, board: SshServer) -> None:
    """Add a board of which the studio knows nothing, with its fingerprint compared."""
    page.get_by_test_id("add-device").click()
    page.get_by_test_id("device-name").fill(name)
    # What is pasted as a whole is taken apart into host, user and port.
    page.get_by_test_id("device-address").fill(str(board.address))
    page.get_by_test_id("device-key").fill(str(board.key_file))
    expect(page.get_by_test_id("device-port")).to_have_value(str(board.port))
    page.get_by_test_id("device-submit").click()
    expect(page.get_by_test_id("fingerprint")).to_have_text(board.fingerprint(), timeout=PATIENCE_MS)
    expect(page.get_by_test_id("host-key-address")).to_contain_text(str(board.port))
    page.get_by_test_id("accept-fingerprint").click()
    expect(page.get_by_test_id(f"device-card-{name}")).to_be_visible(timeout=PATIENCE_MS)


def start_profile(page: Page, name: str) -> None:
    page.get_by_test_id(f"profile-of-{name}").click()
    page.get_by_test_id("profile-start").click()


@pytest.mark.ssh
def test_three_devices_go_from_nothing_to_profiled(browser: Browser, studio: RunningStudio, tmp_path: Path) -> None:
    studio.services.models.add_example("digits")
    with SshServer(tmp_path / "board") as board:
        page, errors = devices_page(browser, studio)
        for name in ("desk-1", "desk-2"):
            add_local(page, name)
        add_board(page, "pi-1", board)
        shoot(page, "30-three-devices")
        # All three are measured at once; their progress is on the page and in the header of every page.
        for name in ("desk-1", "desk-2", "pi-1"):
            start_profile(page, name)
            page.keyboard.press("Escape")
            expect(page.get_by_test_id("profile-start")).to_be_hidden()
        expect(page.get_by_test_id("jobs")).to_contain_text("task", ignore_case=True)
        for name in ("desk-1", "desk-2", "pi-1"):
            expect(page.get_by_test_id(f"profile-of-{name}")).to_have_text("1 profile", timeout=PATIENCE_MS)
        page.get_by_test_id("profile-of-pi-1").click()
        page.get_by_test_id("profiles").get_by_role("button", name="Handwritten digits").first.click()
        layers = page.get_by_test_id("profile-layers").locator("tbody tr")
        expect(layers.first).to_be_visible(timeout=PATIENCE_MS)
        shoot(page, "31-profile")
        summary = studio.client.get("/api/profiles", list[ProfileSummaryOut], device="pi-1")[0]
        expect(page.get_by_test_id("profile-result")).to_contain_text(f"onnxruntime {summary.onnxruntime}")
        assert layers.count() == studio.services.models.all()[0].layer_count
        assert unexpected(errors) == []


def test_an_inventory_is_shown_first_then_added_and_one_failure_stops_nothing(
    browser: Browser, workshop: RunningStudio, tmp_path: Path
) -> None:
    inventory = (
        "all:\n  hosts:\n    nowhere:\n      ansible_host: 127.0.0.1\n      ansible_port: 9\n      ansible_user: pi\n"
    )
    inventory += "    crooked:\n      ansible_host: 127.0.0.1\n      ansible_port: many\n"
    inventory += "    desk-1:\n      ansible_host: 127.0.0.1\n"
    with SshServer(tmp_path / "board") as board:
        inventory += f"    shelf-1:\n      ansible_host: 127.0.0.1\n      ansible_port: {board.port}\n"
        inventory += f"      ansible_user: {board.address.user}\n      ansible_ssh_private_key_file: {board.key_file}\n"
        page, _ = devices_page(browser, workshop)
        page.get_by_test_id("import-devices").click()
        page.get_by_test_id("inventory-file").set_input_files(
            {"name": "boards.yml", "mimeType": "text/yaml", "buffer": inventory.encode()}
        )
        expect(page.get_by_test_id("import-crooked")).to_have_attribute("data-state", "wrong", timeout=PATIENCE_MS)
        expect(page.get_by_test_id("import-desk-1")).to_contain_text("registered already")
        assert sorted(workshop.services.devices.names()) == ["desk-1", "desk-2"]
        shoot(page, "32-inventory")
        page.get_by_test_id("import-start").click()
        expect(page.get_by_test_id("import-shelf-1")).to_have_attribute("data-state", "asks", timeout=PATIENCE_MS)
        expect(page.get_by_test_id("import-nowhere")).to_have_attribute("data-state", "failed")
        expect(page.get_by_test_id("import-shelf-1")).to_contain_text(board.fingerprint())
        shoot(page, "33-inventory-asks")
        page.get_by_test_id("trust-shelf-1").click()
        expect(page.get_by_test_id("import-shelf-1")).to_have_attribute("data-state", "added", timeout=PATIENCE_MS)
        expect(page.get_by_test_id("import-summary")).to_contain_text("1 added, 1 failed, 1 entry not usable")
        page.get_by_test_id("import-done").click()
        expect(page.get_by_test_id("device-card-shelf-1")).to_be_visible()
        workshop.services.devices.remove("shelf-1")
        expect(page.get_by_test_id("device-card-shelf-1")).to_be_hidden()


@pytest.mark.ssh
def test_a_board_that_cannot_serve_says_why_and_what_to_do(
    browser: Browser, studio: RunningStudio, tmp_path: Path
) -> None:
    """A 32-bit system below a 64-bit kernel, as its tools tell."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in (
        ("uname", 'case "$1" in -s) echo Linux;; *) echo aarch64;; esac'),
        ("getconf", 'case "$1" in LONG_BIT) echo 32;; *) echo "glibc 2.36";; esac'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    with SshServer(tmp_path / "board", before=f"export PATH={shlex.quote(str(tools))}:$PATH") as board:
        page, errors = devices_page(browser, studio)
        add_board(page, "old", board)
        expect(page.get_by_test_id("state-old")).to_have_text("cannot")
        reason = page.get_by_test_id("device-card-old").locator(".reason-cannot").first
        expect(reason).to_contain_text("32-bit")
        expect(reason).to_contain_text("64-bit system")
        page.get_by_test_id("details-old").click()
        expect(page.get_by_test_id("check-details")).to_contain_text("aarch64")
        shoot(page, "34-cannot")
        assert unexpected(errors) == []


def test_links_are_measured_into_a_matrix_of_every_direction(browser: Browser, workshop: RunningStudio) -> None:
    page, errors = devices_page(browser, workshop)
    expect(page.get_by_test_id("link-desk-1-desk-2")).to_have_text(ABSENT)
    page.get_by_test_id("measure-links").click()
    expect(page.get_by_test_id("links").get_by_test_id("job-links")).to_be_visible(timeout=PATIENCE_MS)
    for pair in ("desk-1-desk-2", "desk-2-desk-1", "studio-desk-1", "desk-2-studio"):
        expect(page.get_by_test_id(f"link-{pair}")).to_contain_text(
            re.compile(r"[GM]bit/s.*(ms|s)", re.S), timeout=PATIENCE_MS
        )
    shoot(page, "35-links")
    assert errors == []


def test_a_link_measurement_is_cancelled_where_its_progress_is_shown(browser: Browser, workshop: RunningStudio) -> None:
    page, errors = devices_page(browser, workshop)
    # The one before may be at its end still.
    page.get_by_test_id("measure-links").click(timeout=PATIENCE_MS)
    page.get_by_test_id("links").get_by_test_id("cancel-links").click()
    expect(page.get_by_test_id("links").get_by_test_id("job-links")).to_have_attribute(
        "data-state", "cancelled", timeout=PATIENCE_MS
    )
    expect(page.get_by_test_id("measure-links")).to_be_enabled()
    assert errors == []


def test_a_power_model_is_calibrated_by_typed_watts(browser: Browser, workshop: RunningStudio) -> None:
    page, errors = devices_page(browser, workshop)
    page.get_by_test_id("power-of-desk-1").click()
    page.get_by_test_id("power-calibrate").click()
    page.get_by_text("I read a meter and type").click()
    page.get_by_test_id("calibration-seconds").fill("4")
    page.get_by_test_id("hold-50").click()
    expect(page.get_by_test_id("level-50")).to_have_attribute("data-held", "true", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("level-50")).to_contain_text("s left", timeout=PATIENCE_MS)
    shoot(page, "36-level-held")
    expect(page.get_by_test_id("level-50")).to_contain_text("was kept there", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("calibration-finish")).to_be_disabled()
    for level, watts in ((0, "2.5"), (25, "3.6"), (50, "4.4"), (75, "5.6"), (100, "6.5")):
        page.get_by_test_id(f"typed-{level}").fill(watts)
    expect(page.get_by_test_id("level-25")).to_contain_text("not held")
    page.get_by_test_id("calibration-finish").click()
    expect(page.get_by_test_id("calibration-chart")).to_contain_text("typed", timeout=PATIENCE_MS)
    # What was typed without a hold is no measurement, and is not shown as one.
    warnings = page.get_by_test_id("calibration-warnings")
    expect(warnings).to_contain_text(re.compile("Not held: idle, 25.%, 75.%, 100.%"))
    shoot(page, "37-calibrated")
    model = device_named(workshop, "desk-1").power.model
    assert model is not None
    assert model.source == "calibrated"
    assert [point.level for point in model.points if not point.assumed] == [0.5]
    assert model.busy_w > model.idle_w
    page.get_by_role("tab", name="Sources").click()
    expect(page.get_by_test_id("power-sources")).to_contain_text("Calibrated model")
    expect(page.get_by_test_id("power-sources")).not_to_contain_text("No source of power")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("device-card-desk-1")).to_contain_text("calibrated")
    assert errors == []


def test_meter_readings_tell_the_energy_since_the_last(browser: Browser, workshop: RunningStudio) -> None:
    page, errors = devices_page(browser, workshop)
    page.get_by_test_id("power-of-desk-2").click()
    page.get_by_test_id("power-readings").click()
    for reading in ("10.5", "10.6"):
        page.get_by_test_id("reading").fill(reading)
        page.get_by_test_id("reading-add").click()
        expect(page.get_by_test_id("readings")).to_contain_text(f"{reading} kWh", timeout=PATIENCE_MS)
    newest = page.get_by_test_id("readings").locator("tbody tr").first
    expect(newest).to_contain_text(re.compile(r"360.kJ"))
    # No frame has passed, so that there are no joules per frame: a dash, never 0.
    expect(newest.locator("td").last).to_have_text(ABSENT)
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_devices_are_accessible(browser: Browser, workshop: RunningStudio, scheme: str) -> None:
    page, errors = devices_page(browser, workshop, color_scheme=scheme)
    page.get_by_test_id("details-desk-1").click()
    expect(page.get_by_test_id("check-details")).to_be_visible()
    shoot(page, f"38-devices-{scheme}")
    assert_accessible(page)
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_dialogs_of_devices_are_accessible(browser: Browser, workshop: RunningStudio, scheme: str) -> None:
    page, errors = devices_page(browser, workshop, color_scheme=scheme)
    for opener, ready in (
        ("add-device", "device-name"),
        ("import-devices", "inventory-file"),
        ("profile-of-desk-1", "profile-model"),
        ("power-of-desk-1", "power-settings"),
        ("charts-desk-1", "history-window"),
    ):
        # By keyboard alone: opened, looked at, closed, and the focus is where it was.
        page.get_by_test_id(opener).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_test_id(ready)).to_be_attached(timeout=PATIENCE_MS)
        expect(page.get_by_role("dialog")).to_be_visible()
        page.wait_for_timeout(200)
        assert_accessible(page)
        if opener == "power-of-desk-1":
            for tab in ("power-settings", "power-calibrate", "power-readings"):
                page.get_by_test_id(tab).click()
                assert_accessible(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.get_by_test_id(opener)).to_be_focused()
    assert errors == []


def test_reasons_are_told_with_what_to_do(browser: Browser, workshop: RunningStudio) -> None:
    device = device_named(workshop, "desk-2")
    assert device.check is not None
    page, errors = devices_page(browser, workshop)
    card = page.get_by_test_id("device-card-desk-2")
    for reason in device.check.reasons:
        expect(card).to_contain_text(reason.text)
        expect(card).to_contain_text(reason.next_step)
    page.get_by_test_id("details-desk-2").click()
    details = page.get_by_test_id("check-details")
    for python in device.check.pythons:
        expect(details).to_contain_text(python.path)
    for source in device.check.power_sources:
        expect(details).to_contain_text(source.source)
    # What changes elsewhere is on the page without asking: another window checks the device anew.
    workshop.services.devices.check("desk-2")
    expect(card).to_contain_text("checked just now", timeout=PATIENCE_MS)
    assert errors == []


def test_a_removal_is_asked_about_first_and_tried_again_where_it_fails(
    browser: Browser, workshop: RunningStudio
) -> None:
    workshop.services.devices.add(DeviceIn(name="desk-3", address="local:"))
    page, errors = devices_page(browser, workshop)
    asked_for = "**/api/devices/desk-3"
    page.route(asked_for, lambda route: route.fulfill(status=502, json={}))
    page.get_by_test_id("remove-desk-3").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Keep")).to_be_focused()
    page.get_by_test_id("confirm-remove").click()
    expect(dialog.get_by_test_id("problem")).to_be_visible()
    assert device_named(workshop, "desk-3")
    page.unroute(asked_for)
    page.get_by_test_id("confirm-remove").click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("device-card-desk-3")).to_be_hidden()
    assert [device.name for device in workshop.services.devices.all()] == ["desk-1", "desk-2"]
    assert unexpected(errors) == []
