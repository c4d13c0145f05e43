"""A world folder from a stranger is data: poisoned ones run, read and show nothing, and each is told in one line."""

import io
import json
import struct
import zlib

import h5py
import numpy as np
import pytest

from worldling.cli.commands import main


def edit(file, change):
    """Change json in a file with a function, which may return another value."""
    values = json.loads(file.read_text())
    file.write_text(json.dumps(change(values) or values))


def put(values, path, value):
    """Set what a path with dots names."""
    *parents, last = path.split(".")
    for name in parents:
        values = values.setdefault(name, {})
    values[last] = value


def test_a_whole_world_is_taken(folder, capsys):
    assert main(["info", str(folder)]) == 0
    assert capsys.readouterr().err == ""


# Code in caches, inverted graphs: tests/backends/test_strangers_graph.py

# HDF5 that names other files


def rebuild(shard, name, make):
    """Replace a column of a shard: make(file, values) puts another there."""
    with h5py.File(shard, "r+") as file:
        values = file[name][:]
        del file[name]
        make(file, values)


def external_storage(file, values, other):
    kind = values.dtype
    file.create_dataset("pixels", values.shape, kind, external=[(str(other), 0, h5py.h5f.UNLIMITED)])


def external_link(file, values, other):
    with h5py.File(other, "w") as target:
        target["pixels"] = values
    file["pixels"] = h5py.ExternalLink(str(other), "pixels")


def soft_link(file, values, other):
    file["elsewhere"] = values
    file["pixels"] = h5py.SoftLink("/elsewhere")


def virtual(file, values, other):
    with h5py.File(other, "w") as target:
        target["pixels"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource(str(other), "pixels", values.shape)
    file.create_virtual_dataset("pixels", layout)


def odd_filter(file, values, other):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1, 64, 64, 3))
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # zstd, a plugin that HDF5 would load from a folder
    space = h5py.h5s.create_simple(values.shape)
    h5py.h5d.create(file.id, b"pixels", h5py.h5t.NATIVE_UINT8, space, plan)


def huge(file, values, other):
    file.create_dataset("pixels", (10**9, 64, 64, 3), np.uint8, chunks=(16, 64, 64, 3))
    del file["episode_offsets"]
    file["episode_offsets"] = np.array([0, 10**9])


def huge_chunk(file, values, other):
    file.create_dataset("pixels", values.shape, np.uint8, chunks=(30_000, 64, 64, 3), maxshape=(None, 64, 64, 3))


@pytest.mark.parametrize("poison", [external_storage, external_link, soft_link, virtual, odd_filter, huge, huge_chunk])
def test_hdf5_that_names_other_files_or_code_or_claims_any_size(folder, refused, secret, tmp_path, poison):
    other = tmp_path / "other"
    other.write_bytes(secret.encode() * 9999)
    shard = folder / "contexts" / "shard-0-0000.h5"
    rebuild(shard, "pixels", lambda file, values: poison(file, values, other))
    assert "contexts" in refused()


@pytest.mark.parametrize("name", ["action", "episode_offsets", "episode_seed", "state"])
def test_hdf5_links_in_every_column(folder, refused, tmp_path, name):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other[name] = np.zeros(15)
    with h5py.File(folder / "contexts" / "shard-0-0000.h5", "r+") as file:
        if name in file:
            del file[name]
        file[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), name)
    assert "link to elsewhere" in refused()


def test_hdf5_of_a_data_set_too(folder, secret, tmp_path, capsys):
    (tmp_path / "other").write_bytes(secret.encode() * 9999)
    rebuild(
        folder / "contexts" / "shard-0-0000.h5",
        "pixels",
        lambda file, values: external_storage(file, values, tmp_path / "other"),
    )
    assert main(["info", str(folder / "contexts")]) == 2
    assert "lies in another file" in capsys.readouterr().err


# A foreign env_id


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file that appears when the module of a stranger is imported."""
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "ran"


@pytest.mark.parametrize(
    "env_id", ["evil_module:Evil-v0", "evil_module.py:Evil", "../evil_module.py:Evil", "Evil-v0", "gym_pusht/../x:y"]
)
def test_an_environment_that_only_the_card_names_is_not_opened(folder, canary, make_world, env_id):
    from worldling.backends.load import load
    from worldling.errors import WorldlingError
    from worldling.serve.real_environment import open_real_environment

    edit(folder / "card.json", lambda card: put(card, "source.env_id", env_id))
    world = load(folder, backend="reference")
    with pytest.raises(WorldlingError, match="--beside") as told:
        open_real_environment(world)
    assert "\n" not in str(told.value) and not canary.exists()


def test_arguments_of_an_environment_that_name_files_are_not_used(folder):
    from worldling.backends.load import load
    from worldling.errors import EnvError
    from worldling.serve.real_environment import open_real_environment

    edit(folder / "card.json", lambda card: put(card, "source.env_id", "CartPole-v1"))
    edit(folder / "card.json", lambda card: put(card, "source.env_kwargs", {"xml_file": str(folder / "evil.xml")}))
    with pytest.raises(EnvError, match=r"env_kwargs.*single words"):
        open_real_environment(load(folder, backend="reference"))


def test_play_beside_says_how_to_name_it_oneself(folder, canary, capsys):
    edit(folder / "card.json", lambda card: put(card, "source.env_id", "evil_module:Evil-v0"))
    assert main(["play", str(folder), "--beside", "--no-browser", "--port", "0", "--backend", "reference"]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("worldling: `") and "evil_module:Evil-v0" in err and not canary.exists()


@pytest.mark.parametrize("command", [["judge", "--suite", "speed"], ["cost", "--seconds", "0.05", "--batch", "1"]])
def test_judge_and_cost_import_nothing_that_a_card_names(folder, canary, command, tmp_path, capsys):
    edit(folder / "card.json", lambda card: put(card, "source.env_id", "evil_module:Evil-v0"))
    more = ["--out", str(tmp_path / "judged")] if command[0] == "judge" else []
    main([command[0], str(folder), *command[1:], *more, "--backend", "reference"])
    assert "Traceback" not in capsys.readouterr().err and not canary.exists()


# Names


@pytest.mark.parametrize("text", ["x\r\nSet-Cookie: a=b", "x\x1b[2J", "x\x00", "x\u202etxt", "", "x" * 5000, "x\ud800"])
def test_names_that_steer_what_shows_them(folder, refused, text):
    edit(folder / "config.json", lambda config: put(config, "name", text))
    assert "name" in refused()


@pytest.mark.parametrize(
    "file, path",
    [
        ("config.json", "size"),
        ("card.json", "source.env_id"),
        ("card.json", "training.note"),
        ("card.json", "name"),
        ("contexts/dataset.json", "env_id"),
        ("contexts/dataset.json", "license"),
        ("contexts/dataset.json", "versions.gymnasium"),
    ],
)
def test_control_characters_in_every_text(folder, refused, file, path):
    edit(folder / file, lambda values: put(values, path, "a\r\nb\x1b[31m"))
    refused()


def test_control_characters_in_names_of_actions_and_in_keys(folder, refused):
    edit(folder / "config.json", lambda config: put(config, "action_space.names", ["a", "b\r\n", "c"]))
    refused()
    edit(folder / "config.json", lambda config: put(config, "action_space.names", []))
    edit(folder / "card.json", lambda card: put(card, "a\x1b]0;b", 1))
    refused()


def test_a_folder_whose_name_steers_the_terminal(folder, tmp_path, capsys):
    renamed = folder.rename(tmp_path / "a\x1b[2Jb")
    (renamed / "weights.safetensors").write_bytes(b"")
    assert main(["info", str(renamed)]) == 2
    assert capsys.readouterr().err.rstrip("\n").isprintable()


# Sizes


@pytest.mark.parametrize(
    "path, value",
    [
        ("dynamics.width", 10**9),
        ("dynamics.width", 8192),
        ("dynamics.window", 10**12),
        ("dynamics.window", -1),
        ("dynamics.backbone", "T" * 10**5),
        ("dynamics.head_layers", 10**6),
        ("dynamics.head_dim", 0),
        ("dynamics.head_dim", 5),
        ("dynamics.grid", 10**6),
        ("dynamics.grid", 16),
        ("dynamics.channels", 2**40),
        ("dynamics.action_size", 10**9),
        ("tokenizer.size_px", 2**30),
        ("tokenizer.grid", 0),
        ("tokenizer.merge", 0),
        ("tokenizer.levels", 10**9),
        ("action_space.nvec", [10**9]),
        ("action_space.nvec", [3] * 10**5),
        ("action_space.nvec", []),
        ("context", 10**9),
        ("context", 0),
        ("fps", 1e300),
        ("fps", 0),
    ],
)
def test_sizes_are_bounded_before_anything_is_allocated(folder, refused, path, value):
    edit(folder / "config.json", lambda config: put(config, path, value))
    assert len(refused()) < 600


def png(width, height):
    """A PNG that claims any size, of a few bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 10**6)), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("size", [(50_000, 50_000), (2**31 - 1, 1), (64, 65), (0, 0)])
def test_a_picture_that_unpacks_to_any_size(folder, refused, size):
    (folder / "mean.png").write_bytes(png(*size))
    assert "mean.png" in refused()


def test_a_picture_of_another_kind(folder, refused):
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (64, 64)).save(data, "gif")
    (folder / "mean.png").write_bytes(data.getvalue())
    assert "PNG" in refused()


@pytest.mark.parametrize("length", [2**63, 2**40, 10**8])
def test_a_header_of_any_size(folder, refused, length):
    file = folder / "weights.safetensors"
    file.write_bytes(struct.pack("<Q", length) + file.read_bytes()[8:])
    assert "weights.safetensors" in refused()


# Wrong types


@pytest.mark.parametrize(
    "file, path, value",
    [
        ("config.json", "name", 1),
        ("config.json", "fps", "30"),
        ("config.json", "fps", None),
        ("config.json", "fps", float("nan")),
        ("config.json", "context", 4.5),
        ("config.json", "context", True),
        ("config.json", "dynamics", [1, 2]),
        ("config.json", "dynamics.width", "32"),
        ("config.json", "dynamics.width", [32]),
        ("config.json", "dynamics.backbone", ["S", "T"]),
        ("config.json", "dynamics.centered_scores", 1),
        ("config.json", "tokenizer", None),
        ("config.json", "action_space", "discrete"),
        ("config.json", "action_space.nvec", {"0": 3}),
        ("config.json", "action_space.nvec", ["3"]),
        ("config.json", "action_space.low", [float("nan")]),
        ("config.json", "action_space.kind", ["discrete"]),
        ("card.json", "source", []),
        ("card.json", "source.env_id", 5),
        ("card.json", "source.frame_skip", "1"),
        ("card.json", "source.frame_skip", 10**12),
        ("card.json", "source.env_kwargs", "x"),
        ("card.json", "cost", 3),
        ("card.json", "cost.minutes", {"dynamics": "1"}),
        ("card.json", "parameters", {"dynamics": None}),
        ("contexts/dataset.json", "size_px", "64"),
        ("contexts/dataset.json", "size_px", 10**6),
        ("contexts/dataset.json", "frame_skip", 0),
        ("contexts/dataset.json", "versions", {"a": 1}),
        ("contexts/dataset.json", "action_space.nvec", [4]),
    ],
)
def test_values_of_another_type(folder, refused, file, path, value):
    edit(folder / file, lambda values: put(values, path, value))
    refused()


@pytest.mark.parametrize("file", ["config.json", "card.json", "contexts/dataset.json"])
@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"a":' * 10**5, "[1]", "nul", "\xff", '"' + "x" * 10**7 + '"', "9" * 5000]
)
def test_json_that_is_nested_or_large_or_no_object(folder, refused, file, text):
    (folder / file).write_text(text, "latin-1")
    assert file in refused()


def test_json_nested_in_the_header_of_the_weights(folder, refused):
    file = folder / "weights.safetensors"
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["worldling"] = "[" * 10**5
    changed = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(changed)) + changed + data[8 + length :])
    refused()
    header["__metadata__"] = ["x"]
    changed = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(changed)) + changed + data[8 + length :])
    refused()
