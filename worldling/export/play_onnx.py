"""Play a world that `worldling export --onnx` wrote, with onnxruntime and numpy alone: python play_onnx.py w.onnx."""

import base64
import json
import sys

import numpy as np
import onnxruntime


class World:
    """A world and where it is: `start`, then `step` for each frame. about: what the graph says of itself."""

    def __init__(self, path: str) -> None:
        self.graph = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.about = json.loads(self.graph.get_modelmeta().custom_metadata_map["worldling"])
        self.shapes = {given.name: given.shape for given in self.graph.get_inputs()}

    def start(self, number: int = 0, seed: int = 0) -> np.ndarray:
        """Go to a clip to start from; returns its last frame, uint8 [H, W, 3]."""
        about, clip = self.about, self.about["starts"][number]
        self.given = {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}
        self.stamp, self.index, self.random = np.full(about["window"] + about["sinks"], -1), 0, Noise(seed)
        levels = read(clip["latents"], "u1", (clip["count"], 1, *self.shapes["latent"][1:]))
        latents = levels.astype(np.float32) * np.float32(2 / (about["levels"] - 1)) - np.float32(1)
        frame = read(clip["frame"], "u1", (1, about["size_px"], about["size_px"], 3))
        if about["warps"]:
            self.given["shown"] = frame
        self.given["latent"] = self.given["previous"] = latents[0]
        for action, latent in zip(read(clip["actions"], "<f4", (clip["count"] - 1, -1)), latents[1:], strict=True):
            self.run(action)
            self.given["previous"], self.given["latent"] = self.given["latent"], latent
        if about["keypoints"]:
            self.given["points"] = read(clip["points"], "<f4", self.shapes["points"])
        return frame[0]

    def step(self, action: np.ndarray) -> np.ndarray:
        """Make the next frame, uint8 [H, W, 3]; action: encoded, float32 [A] (one-hot, or scaled to [-1, 1])."""
        made = self.run(action)
        self.given["previous"], self.given["latent"] = self.given["latent"], made["next_latent"]
        if self.about["warps"]:
            self.given["shown"] = made["frame"]
        if self.about["keypoints"]:
            self.given["points"] = made["next_points"]
        return made["frame"][0]

    def run(self, action: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph, and put what is to be remembered of the current frame into its slot of the memory."""
        window, sinks = self.about["window"], self.about["sinks"]
        age = np.where(self.stamp < 0, window + 2, np.minimum(self.index - self.stamp, window + 1))
        self.given["age"], self.given["action"] = age[None].astype(np.int32), action[None].astype(np.float32)
        if "noise" in self.given:
            self.given["noise"] = self.random.draw(self.index, self.shapes["noise"])
        made = dict(zip(self.about["outputs"], self.graph.run(self.about["outputs"], self.given), strict=True))
        slot = self.index if self.index < sinks else sinks + (self.index - sinks) % window
        for name, fresh in made.items():
            if name.startswith("new_"):
                self.given[name[4:]][:, slot] = fresh
        self.stamp[slot], self.index = self.index, self.index + 1
        return made


class Noise:
    """Standard normal numbers from a seed and a frame's number, the same ones as in the page (noise.js)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draw(self, index: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return float32 numbers of `shape`: mixed by xxHash's finish (public domain), then Box and Muller."""
        count = int(np.prod(shape))
        with np.errstate(over="ignore"):
            x = np.arange(2 * count, dtype=np.uint32) * np.uint32(0x9E3779B1)
            x += np.uint32((self.seed * 0x85EBCA77 + index * 0xC2B2AE3D + 1) & 0xFFFFFFFF)
            for shift, factor in ((15, 0x85EBCA77), (13, 0xC2B2AE3D)):
                x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
            x ^= x >> np.uint32(16)
        first, second = (x.reshape(2, count).astype(np.float64) + 0.5) / 2**32
        return (np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)).astype(np.float32).reshape(shape)


def read(text: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array of `shape` that base64 `text` holds."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()


if __name__ == "__main__":
    world = World(sys.argv[1])
    frames, idle = [world.start()], np.zeros(world.about["action_space"]["size"])
    frames += [world.step(idle) for _ in range(60)]
    print(f"{world.about['title']}: {len(frames)} frames of {frames[0].shape}, mean colour {np.mean(frames):.1f}")
