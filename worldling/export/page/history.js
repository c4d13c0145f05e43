// The last minute of a session: frames as shown, states to go back to, branches that were left.
// As worldling/serve/history.py: a state for each segment, from which the frames after it are made again.

import { fork } from "./world.js";

const HISTORY_S = 60, SEGMENT_S = 2.5, SHORTEST_LEFT_S = 1, MAX_LEFT = 8, MAX_BYTES = 2.5e8;

export class History {
  constructor(fps) {
    this.numFrames = Math.max(2, Math.round(HISTORY_S * fps));
    this.segmentFrames = Math.max(1, Math.round(SEGMENT_S * fps));
    this.shortestLeft = Math.max(1, Math.round(SHORTEST_LEFT_S * fps));
    this.numLeft = 0;
    this.clear();
  }

  clear() { [this.segments, this.left, this.actions] = [[], [], []]; }

  get newest() { return this.segments.at(-1).frames.at(-1).index; }

  get oldest() { return Math.max(this.segments[0].frames[0].index, this.newest - this.numFrames + 1); }

  // Append a frame {index, rgba, action}, the one that `state` is at; actions holds all since the start.
  add(state, frame) {
    if (!this.segments.length || this.segments.at(-1).frames.length >= this.segmentFrames) {
      this.segments.push({ state: fork(state), frames: [] });
      const bytes = this.segmentFrames * frame.rgba.length;  // large pictures are kept for less than a minute
      const most = Math.ceil(this.numFrames / this.segmentFrames) + 1;
      this.segments.splice(0, this.segments.length - Math.min(most, Math.max(3, Math.floor(MAX_BYTES / bytes))));
      this.drop();
    }
    this.segments.at(-1).frames.push(frame);
    if (frame.index) this.actions[frame.index - 1] = frame.action;
  }

  nearest(index) {
    const at = Math.min(this.newest, Math.max(this.oldest, index));
    const segment = this.segments.findLast(({ frames }) => frames[0].index <= at);
    return segment.frames[at - segment.frames[0].index];
  }

  last(count) { return this.segments.flatMap(({ frames }) => frames).slice(-count); }

  // Leave all after frame `index`. Returns its frame, a state, and the actions that lead from there to it.
  branch(index) {
    const number = this.segments.findLastIndex(({ frames }) => frames[0].index <= index);
    const segment = this.segments[number];
    const frames = segment.frames.slice(0, index - segment.frames[0].index + 1);
    this.leave([...this.segments.slice(0, number), { state: segment.state, frames }], this.actions.slice(0, index));
    return this.end();
  }

  // Return to a branch that was left, at its newest frame.
  goTo(id) {
    const chosen = this.left.find((branch) => branch.id === id);
    if (!chosen) throw new Error("That branch is not kept any more.");
    this.left = this.left.filter((branch) => branch !== chosen);
    this.leave(chosen.segments, chosen.actions);
    return this.end();
  }

  end() {
    const { state, frames } = this.segments.at(-1);
    return { frame: frames.at(-1), state: fork(state), actions: frames.slice(1).map(({ action }) => action) };
  }

  leave(segments, actions) {
    const left = { segments: this.segments, actions: this.actions };
    [this.segments, this.actions] = [segments, actions];
    const at = this.shared(left.segments);
    if (at !== null && left.segments.at(-1).frames.at(-1).index - at >= this.shortestLeft) {
      this.numLeft += 1;
      this.left.push({ id: this.numLeft, ...left });
    }
    this.drop();
  }

  drop() { this.left = this.left.filter(({ segments }) => this.shared(segments) !== null).slice(-MAX_LEFT); }

  // The last frame that other segments share with the present ones, null without one.
  shared(segments) {
    let at = null;
    for (const mine of this.segments) {
      const theirs = segments.find(({ state }) => state === mine.state);
      if (!theirs) {
        if (at === null) continue;
        break;
      }
      for (let i = 0; i < Math.min(mine.frames.length, theirs.frames.length); i++) {
        if (mine.frames[i] !== theirs.frames[i]) return at;
        at = mine.frames[i].index;
      }
    }
    return at;
  }

  // As in the status message.
  get others() {
    return [...this.left].reverse().map(({ id, segments }) =>
      ({ id, at: this.shared(segments), newest: segments.at(-1).frames.at(-1).index }));
  }
}
