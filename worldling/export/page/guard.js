// Says in one line why a page cannot play: its file was cut short, a file beside it is missing, or the browser is old.
// Written for old browsers, and run before anything else.

(function () {
  var needed = [
    ["import maps", window.HTMLScriptElement && HTMLScriptElement.supports && HTMLScriptElement.supports("importmap")],
    ["WebAssembly", window.WebAssembly],
    ["workers", window.Worker],
    ["DecompressionStream", window.DecompressionStream],
    ["OffscreenCanvas", window.OffscreenCanvas]
  ];
  var missing = [];
  for (var i = 0; i < needed.length; i++) if (!needed[i][1]) missing.push(needed[i][0]);

  function why() {
    var parts = window.worldlingParts;
    if (!window.worldlingEnd) return "This file was cut short on its way here. Get it again.";
    if (!parts || !(parts.gallery || (parts.runtime && parts.graph))) {
      return "A file that belongs to this page is missing. Get the whole folder again.";
    }
    if (!missing.length) return "";
    return "This browser is too old to play: it has no " + missing.join(", no ") +
      ". Use Chrome or Edge 89, Firefox 114, Safari 16.4, or a newer one.";
  }

  document.addEventListener("DOMContentLoaded", function () {
    var text = why();
    if (!text) return;
    var line = document.createElement("p");
    line.setAttribute("role", "alert");
    line.style.cssText = "margin: 3rem auto; max-width: 36rem; padding: 0 1rem; font: 1.1rem/1.5 sans-serif";
    line.textContent = text;
    document.body.textContent = "";
    document.body.className = "";
    document.body.appendChild(line);
  });
})();
