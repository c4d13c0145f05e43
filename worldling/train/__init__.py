"""Training: the tokenizer first, then the dynamics from cached latents. `worldling.train(data, out)` does it."""

from worldling.plugin import make_callable

make_callable(__name__, "worldling.train.by_name:train_by_name")
