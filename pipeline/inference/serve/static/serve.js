// Ctrl+Enter sends, and the answer is where reading goes on. Everything also works without this file.
"use strict";

const form = document.querySelector("#paste");
form?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.querySelector("#answer")?.focus();
