// Start and stop a recording on the server; save it, or the last seconds, as mp4 or GIF.

import { film, FILMS } from "./engine.js";

const CLIP_S = 10;
const SAVES = FILMS.length > 1 ? "mp4 and GIF save" : "GIF saves";
const $ = (id) => document.getElementById(id);

export class Recorder {
  constructor(link, toast) {
    Object.assign(this, { link, toast, recording: false, recorded: 0, wantsRecording: true });
    for (const kind of ["mp4", "gif"]) {
      $(`save-${kind}`).hidden = !FILMS.includes(kind);
      $(`save-${kind}`).onclick = () => this.save(kind);
    }
    $("save-other").onclick = () => { this.wantsRecording = !this.wantsRecording; this.show(); };
  }

  toggle() {
    this.wantsRecording = true;
    this.link.send({ type: "record", on: !this.recording });
  }

  // Show a status message: `recorded` frames so far, at `fps` a second.
  update({ recording, recorded }, fps, session) {
    Object.assign(this, { recording, recorded, fps, session });
    this.show();
  }

  show() {
    const seconds = `${(this.recorded / this.fps).toFixed(1)} s`;
    const useRecording = this.recorded > 0 && this.wantsRecording;
    $("record").setAttribute("aria-pressed", String(this.recording));
    $("record-label").textContent = this.recording ? "Stop" : "Record";
    $("save-hint").textContent = this.recording ? `Recording, ${seconds}`
      : `${SAVES} ${useRecording ? `the recording of ${seconds}` : `the last ${CLIP_S} seconds`}`;
    $("save-other").hidden = this.recording || !this.recorded;
    $("save-other").textContent = useRecording ? `last ${CLIP_S} s instead` : "the recording instead";
  }

  async save(kind) {
    const button = $(`save-${kind}`), seconds = this.recorded && this.wantsRecording ? null : CLIP_S;
    if (this.recording) this.link.send({ type: "record", on: false });
    button.classList.add("busy");
    try {
      const { blob, name } = await film(this.session, kind, seconds), href = URL.createObjectURL(blob);
      Object.assign(document.createElement("a"), { href, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60000);
    } catch (error) {
      this.toast(error.message);
    } finally {
      button.classList.remove("busy");
    }
  }
}
