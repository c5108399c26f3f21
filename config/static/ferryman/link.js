// A link's page asks what its worker answered while somebody looks, and says when no answer comes.
(() => {
  const EVERY_MS = 2000;
  const PATIENCE_MS = 8000;
  const list = document.getElementById("link-commands");
  if (!list) return;
  const sentence = document.getElementById("link-sentence");
  const light = document.getElementById("link-light");
  const trouble = document.getElementById("link-trouble");
  const shown = {};

  // What somebody opened stays open.
  const open = () => [...list.querySelectorAll("details[open]")].map((one) => `${one.closest("li").dataset.command} ${one.textContent}`);

  const showCommands = (rows) => {
    const opened = new Set(shown.commands ? open() : []);
    list.innerHTML = rows;
    for (const one of list.querySelectorAll("details")) {
      one.open = opened.has(`${one.closest("li").dataset.command} ${one.textContent}`);
    }
  };

  const show = (answer) => {
    if (sentence.textContent !== answer.sentence) sentence.textContent = answer.sentence;
    light.classList.toggle("up", answer.is_up);
    for (const part of document.querySelectorAll("[data-part]")) {
      const name = part.dataset.part;
      if (answer.parts[name] === shown[name]) continue;
      if (part === list) showCommands(answer.parts[name]);
      else part.innerHTML = answer.parts[name];
      shown[name] = answer.parts[name];
    }
  };

  const look = async () => {
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(list.dataset.address, { signal: AbortSignal.timeout(PATIENCE_MS) });
        if (!answer.ok) throw new Error(answer.status);
        show(await answer.json());
        trouble.hidden = true;
      } catch {
        trouble.hidden = false;
      }
    }
    setTimeout(look, EVERY_MS);
  };
  setTimeout(look, EVERY_MS);
})();
