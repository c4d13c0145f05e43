"""Names and Gymnasium ids of the scenes, and the version of what their seeds mean."""

#: Raised whenever seeds come to mean other trials.
VERSION = "2"
SCENARIOS = ("dominoes", "support", "collide", "contain", "drop", "link", "roll", "drape")
CHAOS = ("cloth", "lorenz", "smoke")
PREFIX = "worldling/"
#: Ids of the environments: of the eight scenes and their mixture, and of the chaotic systems.
PHYSICS_IDS = tuple(f"{PREFIX}{name.title()}-v0" for name in (*SCENARIOS, "physics"))
CHAOS_IDS = tuple(f"{PREFIX}{name.title()}-v0" for name in CHAOS)
