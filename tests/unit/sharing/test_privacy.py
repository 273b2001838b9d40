"""What identifies a person or a machine is replaced, figures stay as they are, and a last search finds what is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.sharing.contribute.gathering import form_words, gather
from bench.sharing.privacy import OwnName, Remover, leaks, names_of_this_machine, ordinary_words, own_names

ROOT = Path(__file__).parents[3]
USER, HOST, HOME = "mrsplanted", "plantedbox", "/srv/people/mrsplanted"
UUID, SERIAL = "GPU-1b2c3d4e-0000-1111-2222-333344445555", "1652921000123"
ADDRESS, MAC, MACHINE = "203.0.113.77", "3c:52:82:aa:bb:0f", "0123456789abcdef0123456789abcdef"
SECRET = "correct-horse-battery"  # noqa: S105 - planted
PLANTED = (USER, HOST, HOME, UUID, SERIAL, ADDRESS, MAC, MACHINE, SECRET)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[OwnName, ...]:
    """The names of a machine that has all of the planted ones."""
    machine_id = tmp_path / "machine-id"
    machine_id.write_text(f"{MACHINE}\n")
    monkeypatch.setattr(own_names, "_ID_FILES", (str(machine_id),))
    monkeypatch.setattr(own_names.platform, "node", lambda: f"{HOST}.lab.example.org")
    monkeypatch.setattr(own_names, "_card_numbers", lambda: (UUID, SERIAL))
    monkeypatch.setattr(own_names, "_account", lambda: (USER, "Mrs Planted", HOME))
    entries = {"eth0": [type("Entry", (), {"address": text})() for text in (ADDRESS, MAC.upper(), "127.0.0.1", "::1")]}
    monkeypatch.setattr(own_names.psutil, "net_if_addrs", lambda: entries)
    environ = {"HOME": HOME, "USER": USER, "HOSTNAME": HOST, "HF_TOKEN": SECRET, "SSH_CLIENT": "198.51.100.9 1 22"}
    return names_of_this_machine(ordinary_words("NVIDIA H200"), environ)


def removed(text: str, names: tuple[OwnName, ...] = ()) -> str:
    return Remover(names).line(text)


#: A line of each kind that logs hold.
LOG = f"""Traceback (most recent call last):
  File "{HOME}/venv/lib/python3.12/site-packages/torch/nn/modules/module.py", line 1 in forward
  File "{HOME}/my secret project/train.py", line 3
  File "/data/lab/{USER}/x.py", line 9
RuntimeError: can't read C:\\Users\\{USER}\\AppData\\x.bin on {HOST}.lab.example.org ({ADDRESS}, {MAC})
ssh {USER}@{HOST}: connect to 10.20.30.40 port 22, fe80::fc:ff:fe00:1, 198.51.100.9
GPU 0: NVIDIA H200 (UUID: {UUID})   Serial Number : {SERIAL}
HF_TOKEN={SECRET}
COMPANY_NAME=Acme Secret Laboratories
CUDA_VISIBLE_DEVICES=0
environ({{'HOME': '{HOME}', 'COMPANY': 'Acme Secret Laboratories'}})
downloaded https://{USER}:{SECRET}@mirror.acme.example/simple?token={SECRET} and https://huggingface.co/a/b?x=1
token hf_AbCdEfGhIjKlMnOpQrSt, Authorization: Bearer {SECRET}
machine id {MACHINE}; mail planted@acme.example; password = "{SECRET}"
"""


def test_each_kind_in_a_log_is_replaced(names: tuple[OwnName, ...]) -> None:
    text = removed(LOG, names)
    for secret in (*PLANTED, "Acme", "acme", "lab.example", "secret project", "10.20.30", "198.51", "fe80", "hf_Ab"):
        assert secret.lower() not in text.lower(), secret
    # and what is worth reading stays
    for kept in (
        "site-packages/torch/nn/modules/module.py",
        "train.py",
        "line 3",
        "CUDA_VISIBLE_DEVICES=0",
        "NVIDIA H200",
    ):
        assert kept in text
    assert "https://huggingface.co/a/b" in text


def test_removing_twice_changes_nothing_more(names: tuple[OwnName, ...]) -> None:
    once = removed(LOG, names)
    assert removed(once, names) == once


@pytest.mark.parametrize("secret", PLANTED)
def test_json_stays_valid_and_loses_what_identifies_in_keys_and_nested_strings(
    names: tuple[OwnName, ...], secret: str
) -> None:
    value = {"a": [{"b": f"x {secret}/y"}], f"k {secret}": 0.1, "t": json.dumps({"inner": f'"{secret}"'}), "n": 1e-07}
    for name in ("a.json", "a.jsonl"):
        content = Remover(names).file(name, json.dumps(value).encode() + b"\n")
        assert secret.lower() not in content.decode().lower()
        read = json.loads(content)
        assert (read["n"], set(read) & {"a", "t", "n"}) == (1e-07, {"a", "t", "n"})


def test_a_value_of_a_secret_key_in_json_is_replaced() -> None:
    content = Remover(()).file("a.json", b'{"hf_token": "anything", "tokens": "77", "max_tokens": 77}')
    assert json.loads(content) == {"hf_token": "<secret>", "tokens": "77", "max_tokens": 77}


def test_a_torn_line_of_json_is_cleaned_as_text(names: tuple[OwnName, ...]) -> None:
    content = Remover(names).file("a.jsonl", f'{{"a": 1}}\n{{"b": "{USER}'.encode())
    assert content == b'{"a": 1}\n{"b": "<user>'


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/*.json*")), ids=lambda path: path.name)
def test_records_of_this_tool_are_not_changed(names: tuple[OwnName, ...], path: Path) -> None:
    if path.parent.name == "predicted":
        pytest.skip("no bundle has them, and they are large")
    content = path.read_bytes()
    assert Remover(names).file(path.name, content) == content


@pytest.mark.parametrize(
    "text",
    [
        "torch 2.13.0+cu128, driver 595.58.03, cudnn==9.10.2.21, nvidia-curand-cu12-10.3.9.90, version 10.3.9.90",
        "std::vector<at::Tensor>, aten::convolution, c10::cuda::CUDACachingAllocator",
        "1.5 img/s, 3/4 of 100 MiB/s, 12:34:56, 00000000:3B:00.0",
        "clip-l encode-text 77 tokens: failed: why; max_tokens=77",
        "http://127.0.0.1:8000/health and localhost:8000",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1: not found; /proc/self/status",
        "the sha256:0123456789ab of it",
    ],
)
def test_what_identifies_nobody_stays(text: str, names: tuple[OwnName, ...]) -> None:
    assert removed(text, names) == text


@pytest.mark.parametrize("user", ["cuda", "float16", "sdxl", "nvidia", "decode", "h200"])
def test_a_user_called_like_a_word_of_results_is_replaced_in_paths_alone(
    user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_names, "_account", lambda: (user, "", f"/home/{user}"))
    ours = names_of_this_machine(ordinary_words("NVIDIA H200"), {"USER": user})
    record = json.dumps({"kind": user, "at": f"/home/{user}/x", "by": f"{user}@there.example.org"}).encode()
    assert json.loads(Remover(ours).file("a.json", record)) == {"kind": user, "at": "<home>/x", "by": "<email>"}


@pytest.mark.parametrize("user", ["doctor", "files", "tar", "log", "logs", "step", "profiles", "docs", "overran"])
def test_a_user_called_like_a_word_of_every_bundle_can_give_one(
    user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a tour of somebody whose name is a word of every bundle
    monkeypatch.setattr(own_names, "_account", lambda: (user, "", f"/home/{user}"))
    for name in ("measured/nvidia-h200/20261129T201500Z-docs.jsonl", "logs/doctor.log", "logs/profiles/sdxl.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"wrote": "/home/{user}/contribution/measured"}}\n')
    places = tmp_path / "measured", tmp_path / "logs"
    # When its files are gathered
    ours = names_of_this_machine(ordinary_words("NVIDIA H200") | form_words(*places), {"USER": user})
    gathered = gather(*places, Remover(ours))
    # Then the name is gone from paths, and what is left is no leak
    assert len(gathered.files) == 3
    assert not any(f"/{user}/".encode() in content for content in gathered.files.values())
    manifest = json.dumps({"files": [{"name": name, "what": gathered.what[name]} for name in gathered.files]})
    assert leaks({**gathered.files, "manifest.json": manifest.encode(), "h200.bench.tar.gz": b""}, ours) == []


@pytest.mark.parametrize("host", ["h200", "nvidia-h200", "NvidiaH200"])
def test_a_host_called_like_its_card_does_not_spoil_the_card_s_name(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_names.platform, "node", lambda: host)
    ours = names_of_this_machine(ordinary_words("NVIDIA H200"), {})
    content = b'{"name": "NVIDIA H200", "file": "results/nvidia-h200/run.jsonl"}'
    assert Remover(ours).file("a.json", content) == content
    log = Remover(ours).line("Wrote /data/measured/nvidia-h200/run.jsonl and /data/measured/nvidia-h200").encode()
    assert leaks({"results/nvidia-h200/a.json": content, "logs/a.log": log}, ours) == []


@pytest.mark.parametrize("user", ["ada", "root", "dead", "a1"])
def test_a_short_or_common_name_is_replaced_as_a_word_and_never_inside_of_one(
    user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_names, "_account", lambda: (user, "", f"/home/{user}"))
    ours = names_of_this_machine((), {})
    assert removed(f"by {user}, in {user}s and x{user}", ours) == f"by <user>, in {user}s and x{user}"


def test_a_user_called_user_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_names, "_account", lambda: ("user", "", "/home/user"))
    ours = names_of_this_machine((), {})
    text = removed("user at /home/user/x, <user>", ours)
    assert text == "<user> at <home>/x, <user>"
    assert leaks({"logs/x.log": text.encode()}, ours) == []


@pytest.mark.parametrize("secret", PLANTED)
@pytest.mark.parametrize("spell", [str, str.upper, json.dumps, repr])
def test_the_last_search_names_file_and_line_of_what_was_missed(
    names: tuple[OwnName, ...], secret: str, spell: Callable[[str], str]
) -> None:
    text = f"fine\nfine\n{spell(secret)} here"
    missed = leaks({"logs/fine.log": b"fine", "logs/docs.log": text.encode()}, names)
    assert {(leak.file, leak.line) for leak in missed} == {("logs/docs.log", 3)}
    assert secret not in "".join(map(str, missed))


@pytest.mark.parametrize("secret", [USER, HOST, SECRET])
def test_the_last_search_looks_inside_of_words(names: tuple[OwnName, ...], secret: str) -> None:
    assert leaks({"logs/docs.log": f"my{secret}s".encode()}, names)


def test_the_last_search_looks_at_the_names_of_files_too(names: tuple[OwnName, ...]) -> None:
    assert leaks({f"logs/{USER}.log": b""}, names)


@pytest.mark.parametrize(
    "text", [UUID, "hf_abcdefghijklmnopqrstuv", "https://a:b@c.example", "/home/x", "C:\\Users\\x"]
)
def test_the_last_search_refuses_what_no_bundle_holds_without_knowing_any_name(text: str) -> None:
    assert leaks({"logs/x.log": text.encode()}, ())


def test_nothing_is_left_of_this_machine(names: tuple[OwnName, ...]) -> None:
    files = {"logs/x.log": LOG.encode(), "results/a/x.jsonl": json.dumps({"a": LOG}).encode()}
    assert leaks(files, names)
    remover = Remover(names)
    assert leaks({name: remover.file(name, content) for name, content in files.items()}, names) == []
    assert remover.counts["<user>"] > 0


def test_this_machine_has_names_and_no_secret_of_the_environment_is_among_what_is_shown() -> None:
    ours = names_of_this_machine()
    assert {name.marker for name in ours} >= {"<folder>"}
    assert all(len(name.text) > 1 for name in ours)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(
        st.one_of(
            st.sampled_from([*PLANTED, f"/home/{USER}/x", f"C:\\Users\\{USER}\\x", f"https://{USER}:pw@h.example/x"]),
            st.text(max_size=8),
            st.sampled_from([" ", "/", "\\", '"', "'", "@", ":", "=", "<", ">", "\n", "token=", "-", "_", "."]),
        ),
        max_size=8,
    )
)
def test_whatever_surrounds_a_name_it_is_removed_from_text_and_json(
    names: tuple[OwnName, ...], parts: list[str]
) -> None:
    text = "".join(parts)
    remover = Remover(names)
    content = {
        "logs/x.log": remover.file("logs/x.log", text.encode(errors="replace")),
        "logs/x.json": remover.file("logs/x.json", json.dumps({"a": text, text: [text]}).encode()),
    }
    assert leaks(content, names) == []
    json.loads(content["logs/x.json"])
