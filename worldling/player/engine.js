// Where frames are made: on the server that this page comes from. An exported page has another engine.js, which makes
// them itself (worldling/export/page/engine.js) and has the same exports.

export { DRIFT, Link, LOADING, OVER, PEEK } from "./link.js";

// The page with all worlds, where it is another one than this; the address of a world.
export const HOME = null;
export const address = (id) => `?world=${encodeURIComponent(id)}`;

// The kinds of films that can be saved; shared() returns what was played as a text for a link, where there are such.
export const FILMS = ["mp4", "gif"], shared = null;
export const UNREACHABLE = "Start it again in the terminal with worldling play. This page then reconnects.";

// Return {chosen: id or null, worlds: as the start page shows them}, or null while the server does not answer.
export async function worlds() {
  try {
    const answer = await fetch("api/worlds");
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

// Start a session again from a picture. Throws an error of one line; may return a line for the player.
export async function startFrom(session, picture) {
  const address = `api/picture?session=${encodeURIComponent(session)}`;
  await answered(address, { method: "POST", body: picture });
}

// Return {blob, name} of a film of a session: of its recording, or (given `seconds`) of the last ones.
export async function film(session, kind, seconds) {
  const what = seconds === null ? "recorded=1" : `seconds=${seconds}`;
  const answer = await answered(`api/recording.${kind}?session=${session}&${what}`);
  return { blob: await answer.blob(), name: /filename="(.*)"/.exec(answer.headers.get("Content-Disposition"))[1] };
}

async function answered(address, options) {
  const answer = await fetch(address, options).catch(() => { throw new Error("The server does not answer."); });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}
