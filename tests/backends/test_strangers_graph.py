"""Compiled graphs come only from the user's own cache: those in a world's folder, or edited ones, are never run."""

import copy
import os
import shutil
import stat
from importlib.util import find_spec

import numpy as np
import pytest

from worldling.backends import cache, compiled, openvino_graph
from worldling.backends.choose import use_backend
from worldling.backends.load import load
from worldling.world_files import load_world, save_world

openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino")


@pytest.fixture
def folder(world, tmp_path):
    return save_world(world, tmp_path / "w", half=False)


def frames(world, clip):
    return world.rollout(world.start(clip[0][0], clip[1][0]), [0, 1, 2, 1])


@pytest.fixture
def inverted(world, folder, tmp_path, monkeypatch):
    """The folder of a cache whose graphs are of another world, under the names of those of `folder`."""
    other = copy.copy(load_world(folder))
    mine = load_world(folder)
    names = {kind: openvino_graph.file_name(mine, kind) for kind in ("openvino-bf16", "encoder", "decoder")}
    other.tokenizer = copy.deepcopy(other.tokenizer)
    last = other.tokenizer.decoder[-1]
    last.weight.data.neg_()
    last.bias.data.neg_()
    monkeypatch.setenv("WORLDLING_CACHE", str(tmp_path / "theirs"))
    use_backend(other, "openvino-bf16", quiet=True)
    made = {kind: openvino_graph.file_name(other, kind) for kind in names}
    for kind, name in names.items():
        for part in (tmp_path / "theirs").glob(f"{made[kind].removesuffix('.xml')}.*"):
            part.rename(part.with_name(part.name.replace(made[kind].removesuffix(".xml"), name.removesuffix(".xml"))))
    return tmp_path / "theirs"


@pytest.mark.slow
@openvino
@pytest.mark.parametrize("place", ["in the folder", "in the cache", "in the cache, with their key"])
def test_an_inverted_graph_is_not_played(folder, inverted, place, own_cache, tiny_clip, capsys):
    plain = frames(load_world(folder), tiny_clip)
    if place == "in the folder":
        shutil.copytree(inverted, folder / ".engine")
    else:
        use_backend(load_world(folder), "openvino-bf16", quiet=True)  # so that there is a cache
        for part in inverted.iterdir():
            if part.name != "key":
                shutil.copy(part, own_cache)
    if place == "in the cache, with their key":
        shutil.copy(inverted / "key", own_cache / "key")
        os.chmod(own_cache / "key", 0o644)  # so unpacked; ours is 0600
    capsys.readouterr()
    played = load(folder, "openvino-bf16", quiet=False)
    said = capsys.readouterr().err
    assert np.abs(frames(played, tiny_clip).astype(int) - plain).mean() < 4
    assert (".engine not read" in said) == (place == "in the folder")
    assert ("did not match its checksum" in said) == (place != "in the folder")
    again = load(folder, "openvino-bf16")
    assert "from the cache" in again.backend.reason
    assert np.array_equal(frames(again, tiny_clip), frames(played, tiny_clip))


@pytest.mark.slow
@openvino
def test_a_graph_that_was_edited_is_built_again(folder, own_cache, tiny_clip):
    first = frames(use_backend(load_world(folder), "openvino-bf16", quiet=True), tiny_clip)
    for ending in (".xml", ".bin", ".xml.hmac"):
        file = next(own_cache.glob(f"openvino-bf16-*{ending}"))
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        again = use_backend(load_world(folder), "openvino-bf16", quiet=True)
        assert "did not match its checksum" in again.backend.reason, ending
        assert np.array_equal(frames(again, tiny_clip), first)
        assert "from the cache" in use_backend(load_world(folder), "openvino-bf16", quiet=True).backend.reason


def test_code_in_the_folder_is_not_loaded(folder, own_cache, monkeypatch):
    """Under the names that older versions and this one would look for."""
    asked, world = [], load_world(folder)
    monkeypatch.setattr("torch._inductor.aoti_load_package", lambda path: asked.append(path) or (lambda *_: ()))
    monkeypatch.setattr(compiled.CompiledOnCpu, "_build", lambda self, batch, decode, path: path.write_bytes(b"ours"))
    compiled.CompiledOnCpu(world, half=False)
    (ours,) = own_cache.glob("*.pt2")
    for place in (folder, folder / ".engine"):
        place.mkdir(exist_ok=True)
        for name in (ours.name, f"{ours.name}{cache.SEAL}", "a.pt2", "a.xml", "a.bin"):
            (place / name).write_bytes(b"theirs")
    asked.clear()
    compiled.CompiledOnCpu(load_world(folder), half=False)
    assert asked == [str(ours)] and ours.read_bytes() == b"ours"
    assert cache.foreign_graphs(folder) == sorted([".engine", "a.bin", "a.pt2", "a.xml", ours.name])


def test_the_key_is_the_users_alone(folder, own_cache):
    world = load_world(folder)
    kept = cache.keep(world, "a.xml", lambda path: path.write_text("graph"))
    assert kept.path == own_cache / "a.xml" and cache.find(world, "a.xml").path == kept.path
    assert stat.S_IMODE((own_cache / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(own_cache.stat().st_mode) == 0o700
    key = (own_cache / "key").read_bytes()
    os.chmod(own_cache / "key", 0o644)
    assert cache.find(world, "a.xml").path is None, "others could have read it"
    cache.keep(world, "a.xml", lambda path: path.write_text("graph"))
    assert (own_cache / "key").read_bytes() != key and cache.find(world, "a.xml").path is not None


def test_a_cache_that_others_can_write_to_is_not_used(folder, own_cache):
    world = load_world(folder)
    cache.keep(world, "a.xml", lambda path: path.write_text("graph"))
    os.chmod(own_cache, 0o777)
    assert cache.find(world, "a.xml").path is None
    assert "cannot be used" in cache.keep(world, "a.xml", lambda path: path.write_text("graph")).origin


def test_a_graph_is_bound_to_its_name(folder, own_cache):
    world = load_world(folder)
    cache.keep(world, "a.xml", lambda path: path.write_text("graph"))
    for ending in ("", cache.SEAL):
        shutil.copy(own_cache / f"a.xml{ending}", own_cache / f"b.xml{ending}")
    assert cache.find(world, "b.xml") == (None, "built now, as the cached graph did not match its checksum")


def test_where_the_cache_lies(monkeypatch, tmp_path):
    for name in ("WORLDLING_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "worldling"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache.cache_folder() == tmp_path / "x" / "worldling"
    monkeypatch.setenv("WORLDLING_CACHE", str(tmp_path / "w"))
    assert cache.cache_folder() == tmp_path / "w"


def test_the_cache_stays_within_its_size(folder, own_cache, monkeypatch):
    world = load_world(folder)
    monkeypatch.setattr(cache, "MOST_BYTES", 350)
    for number in range(4):
        cache.keep(world, f"{number}.xml", lambda path: path.write_text("x" * 100))
        os.utime(own_cache / f"{number}.xml", (number, number))
        if number == 1:
            cache.find(world, "0.xml")  # used now
    assert {p.name for p in own_cache.glob("*.xml")} == {"0.xml", "3.xml"}


@pytest.mark.slow
def test_a_bundled_worlds_second_start_comes_from_the_cache(own_cache):
    backend = "openvino-bf16" if find_spec("openvino") else "torch" if compiled.compiler() else None
    if backend is None:
        pytest.skip("needs openvino or a C++ compiler")
    assert "built now, cached in" in load("pusht", backend).backend.reason
    assert "from the cache" in load("pusht", backend).backend.reason


@openvino
def test_int8_is_bound_to_the_clips_it_was_calibrated_on(folder):
    world = load_world(folder)
    names = [openvino_graph.file_name(world, name) for name in ("openvino-int8", "openvino-bf16")]
    other = copy.copy(world)
    other.contexts = world.contexts[:1]
    assert openvino_graph.file_name(other, "openvino-int8") != names[0]
    assert openvino_graph.file_name(other, "openvino-bf16") == names[1]
