// Recording on the server, and saving what was recorded, or just the last seconds, as mp4 or GIF.

const CLIP_S = 10;
const $ = (id) => document.getElementById(id);

export class Film {
  constructor(link, toast) {
    Object.assign(this, { link, toast, recording: false, take: 0, wantsTake: true });
    for (const kind of ["mp4", "gif"]) $(`save-${kind}`).onclick = () => this.save(kind);
    $("film-other").onclick = () => { this.wantsTake = !this.wantsTake; this.show(); };
  }

  toggle() {
    this.wantsTake = true;
    this.link.send({ type: "record", on: !this.recording });
  }

  // A status came: `take` frames are recorded, at `fps` a second.
  stand({ recording, take }, fps, session) {
    Object.assign(this, { recording, take, fps, session });
    this.show();
  }

  show() {
    const seconds = `${(this.take / this.fps).toFixed(1)} s`, useTake = this.take > 0 && this.wantsTake;
    $("record").setAttribute("aria-pressed", String(this.recording));
    $("record-word").textContent = this.recording ? "Stop" : "Record";
    $("film-hint").textContent = this.recording ? `Recording, ${seconds}`
      : `mp4 and GIF save ${useTake ? `the recording of ${seconds}` : `the last ${CLIP_S} seconds`}`;
    $("film-other").hidden = this.recording || !this.take;
    $("film-other").textContent = useTake ? `last ${CLIP_S} s instead` : "the recording instead";
  }

  async save(kind) {
    const button = $(`save-${kind}`), what = this.take && this.wantsTake ? "take=1" : `seconds=${CLIP_S}`;
    if (this.recording) this.link.send({ type: "record", on: false });
    button.classList.add("busy");
    try {
      const answer = await fetch(`/api/recording.${kind}?session=${this.session}&${what}`);
      if (!answer.ok) throw new Error((await answer.json()).error);
      const download = /filename="(.*)"/.exec(answer.headers.get("Content-Disposition"))[1];
      const href = URL.createObjectURL(await answer.blob());
      Object.assign(document.createElement("a"), { href, download }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60000);
    } catch (error) {
      this.toast(error.message);
    } finally {
      button.classList.remove("busy");
    }
  }
}
