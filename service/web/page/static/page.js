// Says when the server does not answer, and when it does again. Parts of a page that change ask again by themselves.
"use strict";

(() => {
  const SECONDS = 2; // between looks whether it is back
  const AWAY = new Set([502, 503, 504]); // what stands before a server says that it is not there
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "alert");
  let away = false;

  const say = (words) => {
    note.textContent = words;
    document.getElementById("main").prepend(note);
  };

  const look = async () => {
    if (!away) return;
    try {
      const answer = await fetch("/livez", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
    } catch {
      setTimeout(look, SECONDS * 1000);
      return;
    }
    if (!away) return;
    away = false;
    say("The server is back. If you sent something meanwhile, look whether it is there before you send it again.");
  };

  const gone = () => {
    if (away) return;
    away = true;
    say("The server does not answer. This page goes on by itself once it is back.");
    setTimeout(look, SECONDS * 1000);
  };

  document.addEventListener("htmx:sendError", gone);
  document.addEventListener("htmx:timeout", gone);
  document.addEventListener("htmx:responseError", (event) => {
    if (AWAY.has(event.detail.xhr.status)) gone();
  });
  document.addEventListener("htmx:beforeRequest", () => {
    if (!away) note.remove();
  });
  // Also one that began before the server was back: it may be the last one of a page whose parts change no more.
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    away = false;
    note.remove();
  });
})();
