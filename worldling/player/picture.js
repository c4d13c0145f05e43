// Start from a picture of the player's own: chosen with the button, dropped on the page, or pasted.

import { startFrom } from "./engine.js";

const MAX_BYTES = 8e6, SENT_AS_IS = ["image/png", "image/jpeg", "image/webp"], CONVERTED_PX = 1024;
const $ = (id) => document.getElementById(id);

export class OwnPicture {
  // on: {allowed() whether the world can start from one, session() its name, started(), trouble(line)}
  constructor(on) {
    this.on = on;
    $("choose-picture").onclick = () => $("picture-file").click();
    $("picture-file").onchange = () => {
      this.send($("picture-file").files[0]);
      $("picture-file").value = "";  // the same file again is a change, too
    };
    addEventListener("paste", (event) => this.take(event, event.clipboardData));
    addEventListener("drop", (event) => { $("drop").hidden = true; this.take(event, event.dataTransfer); });
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = on.allowed() ? "copy" : "none";
      $("drop").hidden = !on.allowed();
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
  }

  take(event, data) {
    const file = [...(data?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (!data?.files?.length) return;
    event.preventDefault();
    if (!this.on.allowed()) return;
    if (file) this.send(file);
    else this.on.trouble("That is not a picture. Take a PNG or JPEG file.");
  }

  async send(file) {
    if (!file || !this.on.allowed()) return;
    const button = $("choose-picture");
    button.classList.add("busy");
    try {
      const warning = await startFrom(this.on.session(), await readable(file));
      this.on.started();
      if (warning) this.on.trouble(warning);
    } catch (error) {
      this.on.trouble(error.message);
    } finally {
      button.classList.remove("busy");
    }
  }
}

// The file as it is, or as a JPEG where it is too large or of a kind that only the browser reads (phones have such).
async function readable(file) {
  if (SENT_AS_IS.includes(file.type) && file.size <= MAX_BYTES) return file;
  const picture = await createImageBitmap(file).catch(() => {
    throw new Error("The browser cannot read this picture. Take a PNG or JPEG file.");
  });
  const scale = Math.min(1, CONVERTED_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: Math.ceil(picture.width * scale), height: Math.ceil(picture.height * scale) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}
