"""A game of one's own: a paddle, a ball and sixteen bricks, in numpy. See docs/your_own_game.md."""

import gymnasium as gym
import numpy as np

SIZE, PADDLE, BALL = 64, 14, 4  # pixels
FLOOR = SIZE - 4  # where the paddle's upper edge is


class MyGame(gym.Env):
    """Keep the ball up and hit the bricks; three balls are a game."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    action_space = gym.spaces.Discrete(3)
    observation_space = gym.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)

    def get_action_meanings(self):
        return ["NOOP", "LEFT", "RIGHT"]  # so that the arrow keys play it

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.bricks, self.paddle, self.balls = np.ones((2, 8), bool), (SIZE - PADDLE) // 2, 3
        self.serve()
        return self.render(), {"score": 0}

    def serve(self):
        self.x, self.y = int(self.np_random.integers(4, SIZE - 4 - BALL)), 24
        self.right, self.down = int(self.np_random.choice([-2, -1, 1, 2])), 2

    def step(self, action):
        self.paddle = int(np.clip(self.paddle + (0, -3, 3)[action], 0, SIZE - PADDLE))
        self.x, self.y = self.x + self.right, self.y + self.down
        if not 0 <= self.x <= SIZE - BALL:
            self.x, self.right = int(np.clip(self.x, 0, SIZE - BALL)), -self.right
        if self.y < 0:
            self.y, self.down = 0, 2
        reward, row, column = 0.0, (self.y - 6) // 5, (self.x + BALL // 2) // 8
        if 0 <= row < 2 and self.bricks[row, column]:
            self.bricks[row, column], self.down, reward = False, -self.down, 1.0
        off = self.x + BALL // 2 - self.paddle - PADDLE // 2  # from the paddle's middle
        if self.down > 0 and FLOOR - BALL <= self.y < FLOOR and abs(off) <= (PADDLE + BALL) // 2:
            self.y, self.down, self.right = FLOOR - BALL, -2, (-2, -1, 1, 2)[int(np.clip(off // 4 + 2, 0, 3))]
        elif self.y >= SIZE:
            self.balls -= 1
            self.serve()
        score = int(self.bricks.size - self.bricks.sum())
        return self.render(), reward, self.balls == 0 or not self.bricks.any(), False, {"score": score}

    def render(self):
        picture = np.full((SIZE, SIZE, 3), (16, 20, 40), np.uint8)
        for row, column in np.argwhere(self.bricks):
            picture[6 + 5 * row : 10 + 5 * row, 8 * column + 1 : 8 * column + 7] = ((235, 110, 80), (240, 190, 80))[row]
        for ball in range(self.balls):
            picture[1:4, 2 + 6 * ball : 5 + 6 * ball] = (120, 200, 240)
        picture[FLOOR : FLOOR + 3, self.paddle : self.paddle + PADDLE] = (120, 220, 160)
        picture[max(self.y, 0) : self.y + BALL, self.x : self.x + BALL] = 255
        return picture


def follow(env, seed):
    """A policy that mostly keeps under the ball, so that the recording shows the bricks being hit."""
    rng, game = np.random.default_rng(seed), env.raw.unwrapped

    def act(frame, info):
        if rng.random() < 0.2:
            return int(rng.integers(3))
        off = game.x + BALL // 2 - game.paddle - PADDLE // 2
        return 0 if abs(off) < 3 else 1 if off < 0 else 2

    return act
