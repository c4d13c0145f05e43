// The page: shows the start page or the world that the address names, and follows the browser's back button.

import * as engine from "./engine.js";
import * as play from "./play.js";
import * as start from "./start.js";

const RETRY_MS = 2000;
let visit = 0;    // counts the places gone to: answers to an earlier one are dropped
let listed = [];  // the worlds of the start page, as it was last seen

async function route() {
  const here = ++visit, wanted = new URLSearchParams(location.search).get("world");
  if (wanted !== null) {
    start.hide();
    return play.open(wanted, { mayLeave: true, listing: listed.find(({ id }) => id === wanted) });
  }
  play.close();
  start.show();
  while (here === visit) {
    const found = await engine.worlds();
    if (here !== visit) return;
    if (!found) start.showTrouble();
    // The only world, such as a game that is recorded: there is nothing to choose.
    else if (found.chosen !== null && found.worlds.length === 1) {
      start.hide();
      return play.open(found.chosen, { mayLeave: engine.HOME !== null });
    } else {
      listed = found.worlds;
      return start.draw(listed, go);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

// Go to a world by its id, or (null) to the start page, within this page.
function go(id) {
  history.pushState(null, "", id === null ? "./" : engine.address(id));
  scrollTo(0, 0);
  route();
}

play.onLeave(engine.HOME, () => go(null));
addEventListener("popstate", route);
route();
