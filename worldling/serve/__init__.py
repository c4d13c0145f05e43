"""The web server of `worldling play`: a person plays a world on one page, next to the real environment if they like.

messages          wire protocol: every message in one table, frame headers, JPEG
history           the last minute of a session: stored frames and forked states
session           one player's roll-out: held action, step, reset, rewind, branch
real_environment  the real environment, stepped with the same actions, and the error between the two
connection        one websocket: clock, newest frame, at most two frames in flight
turns             the world's one worker thread, which gives sessions fair turns
budgets           how much one connection may ask for
guard             who may talk to the server: Host, Origin; security headers
meter             frames per second and latency, measured on the server
recording         mp4 and GIF files of what was shown
port              a listening socket, or the free port to use instead
human             a real environment played by a person, and recorded into a data set
app               the web application and `serve`
"""
