// Keys for people who label all day. Everything also works without this file.
"use strict";

const form = document.querySelector("#answer");
if (form) {
  const asks = [...form.querySelectorAll('[name="asks"]')];
  const none = form.querySelector('[name="none"]');
  const primary = [...form.querySelectorAll('[name="primary"]')];
  const primaries = form.querySelector(".primary");
  const note = form.querySelector('[name="note"]');
  const keys = document.querySelector("#keys");
  const said = document.querySelector("#said");
  let order = asks.filter((box) => box.checked).map((box) => box.value);

  // The main ask is only a question where there are several.
  const show = () => {
    if (!primaries) return;
    primaries.hidden = order.length < 2;
    for (const radio of primary) {
      radio.parentElement.hidden = !order.includes(radio.value);
      if (radio.checked && !order.includes(radio.value)) radio.checked = false;
    }
    if (order.length && !primary.some((radio) => radio.checked)) {
      primary.find((radio) => radio.value === order[0]).checked = true;
    }
  };
  const say = (words) => { said.textContent = words; };
  const words = (name) => name.replaceAll("_", " ");

  const changed = (box) => {
    if (box === none) {
      if (none.checked) { asks.forEach((other) => { other.checked = false; }); order = []; }
    } else if (box.type === "radio") {
      order = [box.value];
    } else {
      order = order.filter((name) => name !== box.value);
      if (box.checked) { order.push(box.value); if (none) none.checked = false; }
    }
    show();
    say(none && none.checked ? "none of them" : order.map(words).join(" and ") || "nothing chosen");
  };
  form.addEventListener("change", (event) => {
    if (event.target.name === "asks" || event.target === none) changed(event.target);
  });

  const press = (name) => {
    const button = form.querySelector(`[name="action"][value="${name}"]`);
    if (button) button.click();
  };
  const nextPrimary = () => {
    if (!primaries || order.length < 2) return;
    const open = primary.filter((radio) => order.includes(radio.value));
    const at = open.findIndex((radio) => radio.checked);
    const next = open[(at + 1) % open.length];
    next.checked = true;
    say(`mainly ${words(next.value)}`);
  };
  const codebook = () => {
    const book = document.querySelector("#codebook");
    const there = book.contains(document.activeElement);
    const target = there ? document.querySelector("#message") : book;
    target.focus();
    target.scrollIntoView({ block: "start" });
  };
  const actions = {
    u: () => press("undo"), k: () => press("skip"), s: () => press("suggest"),
    n: () => note.focus(), p: nextPrimary, c: codebook,
    d: () => { const box = form.querySelector('[name="unsure"]'); box.click(); say(box.checked ? "in doubt" : "sure"); },
  };

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || event.isComposing) return;
    const writing = event.target === note;
    if (event.key === "Enter" && (!writing || event.ctrlKey)) {
      const own = event.target.closest("button, a");
      if (own && !event.ctrlKey) return;
      event.preventDefault();
      press("save");
    } else if (event.key === "Escape" && writing) {
      document.querySelector("#message").focus();
    } else if (!writing && !event.ctrlKey && keys.checked) {
      const box = form.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      const act = actions[event.key.toLowerCase()];
      if (box) { event.preventDefault(); box.click(); }
      else if (act) { event.preventDefault(); act(); }
    }
  });

  // One press, one answer: a second Enter while the page is on its way is ignored.
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", () => { sent = false; });

  const remembered = "outreach-single-keys";
  keys.checked = localStorage.getItem(remembered) !== "off";
  keys.addEventListener("change", () => localStorage.setItem(remembered, keys.checked ? "on" : "off"));
  show();
  // What went wrong and what was asked for takes the focus itself, so that a small screen shows it.
  if (!form.querySelector("[autofocus]")) document.querySelector("#message").focus({ preventScroll: true });
  form.dataset.keys = "ready"; // for tests: what is pressed earlier is lost
}
