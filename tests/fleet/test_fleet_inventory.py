"""Inventories: Ansible's two forms, a plain list, and what is only made to look like one."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_studio.fleet.inventory.inventory import Format, Inventory, InventoryError, expand, read_inventory

INI = """
# a lab
lonely ansible_host=192.0.2.9 ansible_port=2222

[pis]
pi[01:03] ansible_user=pi
cellar.example:2022   # on another port
"quoted" ansible_ssh_private_key_file="/keys/my key"

[pis:vars]
ansible_user = edge
ansible_ssh_common_args='-o ProxyCommand="nc %h %p"'
colour=red

[lab:children]
pis
here

[lab:vars]
ansible_user=lab
ansible_become=true

[here]
desk ansible_connection=local
"""

YAML = """
all:
  vars: {ansible_user: lab}
  hosts:
    lonely: {ansible_host: 192.0.2.9, ansible_port: 2222}
  children:
    pis:
      vars: {ansible_user: edge}
      hosts:
        pi[01:03]: {ansible_user: pi}
        cellar.example: {ansible_port: 2022}
        quoted: {ansible_ssh_private_key_file: /keys/my key}
    here:
      hosts: {desk: {ansible_connection: local}}
"""


def addresses(inventory: Inventory) -> dict[str, object]:
    assert all(host.device is not None for host in inventory.hosts), inventory.hosts
    return {str(host.device["name"]): host.device["address"] for host in inventory.hosts if host.device}


def problem(inventory: Inventory, name: str) -> str:
    (host,) = [host for host in inventory.hosts if host.name == name]
    assert host.problem is not None
    assert host.problem.next_step
    return host.problem.message


@pytest.mark.parametrize(("text", "user"), [(INI, ""), (YAML, "lab@")])
def test_both_forms_of_ansible_say_the_same(text: str, user: str) -> None:
    inventory = read_inventory(text)
    assert addresses(inventory) == {
        "lonely": f"ssh://{user}192.0.2.9:2222",
        "pi01": "ssh://pi@pi01",
        "pi02": "ssh://pi@pi02",
        "pi03": "ssh://pi@pi03",
        "cellar.example": "ssh://edge@cellar.example:2022",
        "quoted": "ssh://edge@quoted",
        "desk": "local:",
    }
    by_name = {host.name: host for host in inventory.hosts}
    assert by_name["pi02"].group == "pis"
    assert by_name["lonely"].group is None
    quoted = by_name["quoted"].device
    assert quoted is not None
    assert quoted["key_file"] == "/keys/my key"


def test_what_is_not_followed_is_told_and_options_of_ssh_never_are() -> None:
    ignored = " ".join(read_inventory(INI).ignored)
    assert "ansible_ssh_common_args" in ignored
    assert "~/.ssh/config" in ignored
    assert "ansible_become" in ignored
    assert "colour" not in ignored
    assert "nc %h" not in ignored


def test_a_plain_list_is_taken_with_the_fields_of_a_device() -> None:
    entries = "- {name: a, address: 'ssh://pi@192.0.2.1', cpus: [0, 1], colour: red}\n- {name: b, address: 'local:'}\n"
    for form in (f"devices:\n{entries}", entries):
        inventory = read_inventory(form)
        assert addresses(inventory) == {"a": "ssh://pi@192.0.2.1", "b": "local:"}
        device = inventory.hosts[0].device
        assert device is not None
        assert device["cpus"] == [0, 1]
        assert inventory.ignored == ("colour: not used",)


def test_a_password_is_taken_and_shown_nowhere() -> None:
    inventory = read_inventory("[a]\nboard ansible_password=hunter2 ansible_user=pi\n")
    device = inventory.hosts[0].device
    assert device is not None
    assert device["password"] == "hunter2"
    assert "hunter2" not in repr(inventory)


def test_templates_and_vaults_are_told_and_never_evaluated() -> None:
    text = """
all:
  hosts:
    a: {ansible_host: "{{ lookup('pipe', 'id') }}"}
    b: {ansible_password: !vault "$ANSIBLE_VAULT;1.1;AES256 6162"}
    c: {ansible_host: 192.0.2.1, unused: "{{ x }}"}
"""
    inventory = read_inventory(text)
    assert "template" in problem(inventory, "a")
    assert "vault" in problem(inventory, "b")
    assert inventory.hosts[2].device is not None


def test_one_bad_host_does_not_hide_the_others() -> None:
    text = """
[all]
good
-oProxyCommand=x
meta ansible_host=169.254.169.254
win ansible_connection=winrm
tricky ansible_host=$(reboot)
evil ansible_user="-x"
port ansible_port=99999
"""
    inventory = read_inventory(text)
    assert [host.name for host in inventory.hosts if host.device is not None] == ["good"]
    assert "link-local" in problem(inventory, "meta")
    assert "winrm" in problem(inventory, "win")


def test_a_name_that_no_device_may_have_is_made_safe_and_told_or_is_a_problem() -> None:
    hosts = ("bad name", "bad-name", "attic pi", "studio", "source", "sink", "--", "studio ")
    text = "all:\n  hosts:\n" + "".join(f"    {name!r}: {{ansible_host: 192.0.2.1}}\n" for name in hosts)
    inventory = read_inventory(text)
    assert tuple(host.name for host in inventory.hosts) == hosts
    offered = {host.name: host.device["name"] for host in inventory.hosts if host.device}
    # The one that may have its name keeps it, wherever it stands.
    assert offered == {"bad-name": "bad-name", "attic pi": "attic-pi"}
    assert inventory.ignored == ("'attic pi' cannot name a device: attic-pi is taken instead",)
    for name in {*hosts} - {*offered}:
        assert repr(name) in problem(inventory, name)
    plain = read_inventory("".join(f"- {{name: {name!r}, address: 'ssh://a'}}\n" for name in hosts))
    assert [host.name for host in plain.hosts if host.problem is None] == ["bad-name"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a", ["a"]),
        ("pi[1:3]", ["pi1", "pi2", "pi3"]),
        ("pi[08:10]", ["pi08", "pi09", "pi10"]),
        ("r[1:5:2].[a:b]", ["r1.a", "r1.b", "r3.a", "r3.b", "r5.a", "r5.b"]),
        ("r[2:1].[1:1000][1:1000]", []),
    ],
)
def test_ranges_are_counted_out(pattern: str, names: list[str]) -> None:
    assert list(expand(pattern)) == names


def bomb() -> str:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines)


def merges() -> str:
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "all: 7",
        "all: {hosts: [a, b]}",
        "all: {hosts: {no: {}}}",
        "a: &a [*a]",
        "x: !!python/object/apply:os.system ['id']",
        "x: !unknown y",
        "[" * 5000,
        "{a: " * 5000,
        bomb(),
        merges(),
        "- &a [x]\n" + "- *a\n" * 250_000,
        "all: {hosts: {'h[1:999999999]': {}}}",
        "all: {hosts: {'h[1:500][1:500]': {}}}",
        "[g]\nh[1:500][1:500]",
        "[g]\nh[1:1000][1:1000][1:1000]",
        "[g]\nh" + "[1:1]" * 3000,
        "[g]\nh[" + "9" * 5000 + ":1]",
        "[g]\nh[0:99999999999999999999999]",
        "[g]\n" + "h" * 500_000 + "[1:1000]",
        "all:\n  hosts:\n    a:\n      ansible_port: 0x" + "f" * 20_000,
        "all:\n  hosts:\n    ? 0x" + "f" * 20_000 + "\n    : {}",
        "- name: 0x" + "f" * 20_000 + "\n  address: 'local:'",
        "".join(f"g{n}: {{hosts: {{'h[1:1000]': {{}}}}}}\n" for n in range(900)),
        "".join(f"[g{n}]\n" for n in range(100_000)) + "host",
        "[g]\nhost 'unclosed",
        "[g]\nhost word",
        "[g:vars]\nno value here",
        "a\tb: \x00",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_files_that_are_no_inventories_are_refused_soon(text: str) -> None:
    begun_s = time.process_time()
    with pytest.raises(InventoryError):
        read_inventory(text)
    assert time.process_time() - begun_s < 60


def test_groups_in_a_circle_are_read() -> None:
    inventory = read_inventory("[a]\nhost\n[a:children]\nb\n[b:children]\na\n[b:vars]\nansible_user=pi\n")
    assert addresses(inventory) == {"host": "ssh://pi@host"}


def test_hosts_deep_in_many_groups_are_read_soon() -> None:
    text = (
        "".join(f"[g{n}:children]\ng{n + 1}\n" for n in range(900)) + "[g900]\nh[1:1000]\n[g0:vars]\nansible_user=pi\n"
    )
    begun_s = time.process_time()
    assert addresses(read_inventory(text))["h1000"] == "ssh://pi@h1000"
    assert time.process_time() - begun_s < 60


@given(st.text(max_size=400))
def test_no_text_breaks_the_reader(text: str) -> None:
    forms: tuple[Format | None, ...] = (None, "yaml", "ini")
    for form in forms:
        try:
            read_inventory(text, form)
        except InventoryError:
            continue
