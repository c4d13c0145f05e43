"""The door: one page on loopback in which a person plays a world, beside the real thing if they like.

messages    the wire: every message in one table, frame headers, JPEG
history     the last minute of a session: stored pictures and forked states
session     one player's dream: held action, step, reset, rewind, branch
beside      the real environment stepped with the same actions, and the error between them
connection  one websocket: the clock, the newest frame, at most two in flight
meter       frames per second and latency, as the server sees them
recording   mp4 and GIF of what was seen
port        a listening socket, or the free port to use instead
app         the web application and `serve`
player/     the page: no build step, nothing from outside
"""
