"""Bad input on the command line: one clear line on stderr, exit status 2, nothing half-written."""

import argparse
import json

import pytest

import worldling
from worldling.backends.choose import BACKENDS, DELTA
from worldling.cli import build_parser, commands, main
from worldling.cli.options import BACKENDS as BACKEND_WORDS
from worldling.cli.options import count, parse_ints
from worldling.errors import DiskFullError


def test_help_of_every_command_teaches(capsys):
    parser = build_parser()
    names = parser._subparsers._group_actions[0].choices
    assert {"play", "record", "import", "train", "judge", "bench", "cost", "info", "list"} <= set(names)
    for name, sub in names.items():
        text = sub.format_help()
        assert "--json" in text and len(text.splitlines()) > 5, name


@pytest.mark.parametrize(
    "command,words",
    [
        (["record", "NoSuch-v0", "--out", "{tmp}/d"], "NoSuch-v0"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--frames", "0"], "frames"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--policy", "nosuch"], "policy"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--env-arg", "x"], "NAME=VALUE"),
        (["train", "{tmp}/nothing", "--out", "{tmp}/w"], "dataset.json"),
        (["train", "{tmp}/nothing", "--out", "{tmp}/w", "--set", "lr=1"], "lr"),
        (["judge", "nosuchworld", "--data", "{tmp}"], "nosuchworld"),
        (["judge", "{tmp}/nosuch.py:World", "--data", "{tmp}"], "nosuch.py"),
        (["judge", "worldling.types:Nosuch", "--data", "{tmp}"], "Nosuch"),
        (["judge", "worldling.types:ActionSpace", "--data", "{tmp}", "--world-arg", "kind=none"], "rollout"),
        (["judge", "worldling.types:ActionSpace", "--data", "{tmp}", "--backend", "torch"], "--backend"),
        (["judge", "pusht", "--data", "{tmp}", "--world-arg", "weights=x"], "--world-arg"),
        (["info", "{tmp}/nothing"], "nothing"),
        (["info", "{tmp}"], "config.json"),
        (["bench", "{tmp}/nothing"], "nothing"),
        (["train", "{tmp}/nothing", "--out", "{tmp}/w", "--device", "gpu"], "device"),
        (["import", "{tmp}", "--out", "{tmp}/d"], "videos"),
        (["import", "{tmp}", "--out", "{tmp}/d", "--size-px", "0"], "size_px"),
        (["import", "{tmp}", "--out", "{tmp}/d", "--format", "physics"], "worldling or video or physion"),
        (["import", "{tmp}", "--out", "{tmp}/d", "--format", "physion"], "hdf5"),
        (["bench", "pusht", "--batches", "0"], "batches"),
        (["play", "{tmp}/nothing", "--no-browser"], "nothing"),
        (["play", "pusht", "--no-browser", "--world-arg", "weights=x"], "--world-arg"),
        (["play", "worldling.types:ActionSpace", "--no-browser", "--world-arg", "kind=none"], "rollout"),
        (["play", "pusht", "--backend", "reference", "--no-browser", "--alarm"], "alarm"),
        (["play", "pusht", "--backend", "reference", "--no-browser", "--alarm", "{tmp}/nothing"], "dataset.json"),
        (["cost"], "`world`"),
        (["cost", "{tmp}/nothing"], "nothing"),
        (["cost", "pusht", "--prices", "{tmp}/none.toml"], "none.toml"),
        (["cost", "pusht", "--backend", "reference", "--device-class", "vm2"], "vm-2"),
        (["cost", "pusht", "--report", "{tmp}/none.json"], "none.json"),
        (["cost", "pusht", "--report", "{tmp}/none.json", "--seconds", "1"], "--report"),
        (["cost", "pusht", "--train-frames", "9"], "--plan"),
        (["cost", "pusht", "--plan", "--fps", "30"], "--plan"),
        (["cost", "--plan"], "`fps`"),
        (["cost", "--plan", "--fps", "30", "--users", "0"], "`users`"),
        (["recrod", "CartPole-v1", "--out", "{tmp}/d"], "got 'recrod'. Did you mean 'record'?"),
        (["trian", "{tmp}/d"], "Did you mean 'train'?"),
        ([], "COMMAND"),
        (["record", "CartPole-v1"], "--out"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--farmes", "9"], "Did you mean '--frames'?"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--workres=2"], "Did you mean '--workers'?"),
        (["record", "CartPole-v1", "again", "--out", "{tmp}/d"], "got 'again'. See worldling record --help"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--frames", "many"], "'many'"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--frames", "1.0005k"], "20k"),
        (["record", "CartPole-v1", "--out", "{tmp}/d", "--workers", "two"], "'two'"),
        (["judge", "pusht", "--lengths", "1k,x"], "--lengths"),
        (["train", "{tmp}/d", "--out", "{tmp}/w", "--set", "batch_clip=4"], "Did you mean 'batch_clips'?"),
        (["train", "{tmp}/d", "--out", "{tmp}/w", "--set", "minuets=4"], "Did you mean 'minutes'?"),
    ],
)
def test_bad_input_is_one_clear_line(command, words, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    status = main([part.replace("{tmp}", str(tmp_path)) for part in command])
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("worldling:")]
    assert status == 2 and len(lines) == 1 and words in lines[0] and "must" in lines[0]
    assert "Traceback" not in err and out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_one_may_not_write_to_is_one_clear_line(tmp_path, monkeypatch, capsys):
    def refused(*given, **named):
        raise PermissionError(13, "Permission denied", "elsewhere")

    monkeypatch.setattr("worldling.data.contact_sheet.dataset_info", refused)
    (tmp_path / "dataset.json").write_text("{}")
    assert main(["info", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "Permission denied" in err


@pytest.mark.parametrize(
    "command, says",
    [
        (["record", "CartPole-v1", "--out", "d"], "--resume"),
        (["train", "d", "--out", "w"], "same command"),
        (["info", "d"], "nothing was changed"),
    ],
)
def test_ctrl_c_says_what_is_kept(command, says, monkeypatch, capsys):
    def interrupted(a):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, f"_{command[0]}", interrupted)
    assert main(command) == 130
    assert says in capsys.readouterr().err


def test_help_names_every_backend():
    names, delta = BACKEND_WORDS.split("; ")
    assert set(names.replace(" or ", ", ").split(", ")) == {"auto", *BACKENDS} and f"NAME{DELTA}0.02" in delta


def test_errors_are_json_when_asked_for(tmp_path, capsys):
    assert main(["info", str(tmp_path / "nothing"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "CheckpointError"


def test_list_is_one_json_object(capsys):
    assert main(["list", "--json"]) == 0
    assert "worlds" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "command, world, beside",
    [
        (["pusht"], "pusht", False),
        (["--beside", "physics"], "physics", True),
        (["physics", "--beside"], "physics", True),
        (["physics", "--beside", "my_game.py:MyGame"], "physics", "my_game.py:MyGame"),
        (["--beside", "my_game.py:MyGame", "physics"], "physics", "my_game.py:MyGame"),
    ],
)
def test_play_is_told_which_world_and_what_beside(command, world, beside, monkeypatch):
    served, named = [], []
    monkeypatch.setattr("worldling.serve.run.serve_catalogue", lambda worlds, *_: served.append(worlds))
    monkeypatch.setattr(
        "worldling.serve.run.real_opener", lambda played, beside: named.append(beside) or (lambda: None)
    )
    assert commands.main(["play", "--backend", "reference", *command]) == 0
    (worlds,) = served
    assert (worlds.chosen, worlds.host(None).world.path.name, named) == (world, world, [beside] if beside else [])


@pytest.mark.parametrize("command", [[], ["--beside"], ["--alarm"]])
def test_play_without_a_world_opens_none_but_lists_them_all(command, monkeypatch, tmp_path):
    served = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("worldling.serve.run.serve_catalogue", lambda worlds, *_: served.append(worlds))
    assert commands.main(["play", *command]) == 0
    (worlds,) = served
    assert worlds.chosen is None and not worlds.all_open()
    assert [listing.id for listing in worlds.listings()] == ["carracing", "physics", "pusht", "pusht-256"]


def test_what_goes_beside_needs_a_world(capsys):
    assert commands.main(["play", "--beside", "CartPole-v1"]) == 2
    assert "`--beside CartPole-v1` must be given with a world" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text, number",
    [("20000", 20_000), ("20k", 20_000), ("20K", 20_000), ("1.5M", 1_500_000), ("20_000", 20_000), ("20,000", 20_000),
     ("0.5k", 500), (".5k", 500), ("7", 7), ("-3", -3)],
)  # fmt: skip
def test_numbers_of_frames_may_be_written_short(text, number):
    parsed = build_parser().parse_args(["record", "CartPole-v1", "--out", "d", f"--frames={text}"])
    assert parsed.frames == number


@pytest.mark.parametrize("text", ["", "k", "20kk", "1.2345k", "20 k", "nan", "inf", "1e3", "k20", "--"])
def test_what_is_no_number_of_frames_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="20k"):
        count(text)


def test_lists_of_frames_too():
    assert parse_ints("1k,10k", "lengths") == [1000, 10_000] and parse_ints("1,8", "batches") == [1, 8]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out.strip() == f"worldling {worldling.__version__}"


def test_a_wrong_command_is_json_when_asked_for(capsys):
    assert main(["recrod", "--json"]) == 2
    assert "record" in json.loads(capsys.readouterr().out)["message"]


@pytest.mark.parametrize("error", [PermissionError(13, "no"), OSError(30, "Read-only"), DiskFullError("full")])
def test_a_data_set_that_cannot_be_written_to_is_described(square_data, monkeypatch, capsys, error):
    def refused(path, data):
        raise error

    monkeypatch.setattr("worldling.data.contact_sheet.write_atomic", refused)
    assert main(["info", str(square_data), "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["frames"] == 80 and told["contact_sheet"] is None
    assert len(err.splitlines()) == 1 and "no contact sheet" in err


def test_json_has_null_for_numbers_that_are_none(monkeypatch, capsys):
    found = {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": (float("-inf"), "x", True, None)}}
    monkeypatch.setattr(commands, "_list", lambda a: found)
    assert main(["list", "--json"]) == 0
    strict = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert strict == {"a": None, "b": [1.5, None], "c": {"d": [None, "x", True, None]}}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_an_environment_prints_is_not_in_the_answer(tmp_path, monkeypatch, capfd, workers):
    (tmp_path / "loud.py").write_text(
        "import gymnasium as gym\nimport numpy as np\n\n\nclass Loud(gym.Env):\n"
        "    action_space = gym.spaces.Discrete(2)\n    count = 0\n\n"
        "    def see(self):\n        self.count += 1\n"
        "        print('hello')\n"
        "        return np.full((32, 32, 3), (self.count % 7) * np.arange(32)[:, None, None], np.uint8)\n\n"
        "    def reset(self, seed=None, options=None):\n        return self.see(), {}\n\n"
        "    def step(self, action):\n        return self.see(), 0.0, False, False, {}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["record", "loud.py:Loud", "--out", "d", "--frames", "8", "--json", "--workers", workers]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["frames"] == 8 and "hello" in err
