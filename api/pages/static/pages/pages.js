// What pages do beyond plain HTML; each works without it too, only less conveniently.
"use strict";

// Files can be dropped; a chosen file is sent at once.
for (const zone of document.querySelectorAll("[data-drop]")) {
  const input = zone.querySelector('input[type="file"]');
  const send = () => {
    if (input.files.length) {
      zone.querySelector("[data-sending]")?.removeAttribute("hidden");
      zone.closest("form").requestSubmit();
    }
  };
  input.addEventListener("change", send);
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.remove("over"); });
  }
  zone.addEventListener("drop", (event) => { input.files = event.dataTransfer.files; send(); });
}

// A job: ask how far it is, show it, and load the page again when it has ended.
for (const box of document.querySelectorAll("[data-job]")) {
  const bar = box.querySelector("progress");
  const ask = async () => {
    let wait = Number(box.dataset.jobEvery) || 400;
    try {
      const answer = await fetch(box.dataset.job, { headers: { Accept: "application/json" } });
      // To the form for logging in: a page that asks by itself keeps nobody logged in.
      if (answer.redirected) { window.location.reload(); return; }
      const job = await answer.json();
      if (!answer.ok || job.state !== "running") { window.location.reload(); return; }
      box.querySelector("[data-job-stage]").textContent = job.stage;
      box.querySelector("[data-job-figures]").textContent = job.figures;
      if (job.share === null) { bar.removeAttribute("value"); } else { bar.value = job.share; }
    } catch { wait = 3000; }
    window.setTimeout(ask, wait);
  };
  window.setTimeout(ask, 300);
}

// A select that chooses what the page shows submits its form by itself.
for (const field of document.querySelectorAll("[data-submits]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

// A button that must not be pressed twice; disabled only once the form has taken its value.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    window.setTimeout(() => {
      for (const button of form.querySelectorAll('button[type="submit"]')) { button.disabled = true; }
    }, 0);
  });
}
