// A link to what was played, where the engine can make one: it opens this page and plays the same frames again.

import { shared } from "./engine.js";

const button = document.getElementById("share");

// on: {playing() whether there is something, toast(line)}
export function offerLink(on) {
  button.hidden = !shared;
  button.onclick = async () => {
    if (!on.playing()) return;
    try {
      const address = new URL(location.href);
      address.hash = `play=${await shared()}`;
      history.replaceState(null, "", address.hash);
      await navigator.clipboard.writeText(address.href).then(
        () => on.toast("The link is copied. It plays the same again."),
        () => on.toast("The link is in the address bar. It plays the same again."),
      );
    } catch (error) {
      on.toast(error.message);
    }
  };
}
