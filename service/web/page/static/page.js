// Says when the server does not answer, and when it does again. Parts of a page that change ask again by themselves.
// Says also what a download waits for.
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

(() => {
  const SECONDS = 2; // after which it is said
  const LOOK_SECONDS = 0.2; // between looks whether the file has begun to arrive
  const form = document.querySelector("form[data-begun]");
  if (!form) return;
  const waiting = form.querySelector("[role=status]");
  let sent = 0; // when; 0 while nothing is waited for

  const end = () => {
    sent = 0;
    waiting.textContent = "";
  };

  const look = () => {
    if (!sent) return;
    if (document.cookie.includes(`${form.dataset.begun}=`)) return end(); // which comes with the file
    if (Date.now() - sent > SECONDS * 1000)
      waiting.textContent = "Waiting for the server, which builds the weights and writes the files; the download begins by itself.";
    setTimeout(look, LOOK_SECONDS * 1000);
  };

  form.addEventListener("submit", () => {
    document.cookie = `${form.dataset.begun}=; path=${location.pathname}; max-age=0`;
    if (!sent) setTimeout(look, 0);
    sent = Date.now();
  });
  window.addEventListener("pagehide", end); // for a page that says why it was refused
})();
