// A job's page asks how far it is while somebody looks: often while it moves, seldom while it does not.
(() => {
  const SHORTEST_MS = 700;
  const LONGEST_MS = 15000;
  const PATIENCE_MS = 8000;
  const part = document.getElementById("job-progress");
  if (!part || part.dataset.over === "yes") return;
  let pause = SHORTEST_MS;
  let shown = "";

  const look = async () => {
    if (document.hidden) return setTimeout(look, pause);
    try {
      const answer = await fetch(part.dataset.address, { signal: AbortSignal.timeout(PATIENCE_MS) });
      if (answer.redirected || answer.status === 403) return location.reload();
      const told = await answer.json();
      pause = told.html === shown ? Math.min(pause * 1.5, LONGEST_MS) : SHORTEST_MS;
      if (told.html !== shown) part.innerHTML = shown = told.html;
      if (told.is_over) return part.dataset.then === "reload" ? location.reload() : undefined;
    } catch {
      pause = Math.min(pause * 2, LONGEST_MS);
    }
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
})();
