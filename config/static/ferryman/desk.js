// The desk refreshes itself: it asks for what changed while somebody looks, and says when no answer comes.
(() => {
  const EVERY_MS = 3000;
  const PATIENCE_MS = 8000;
  const desk = document.getElementById("desk");
  if (!desk) return;
  const trouble = document.getElementById("desk-trouble");
  const at = document.getElementById("desk-at");
  const words = JSON.parse(document.getElementById("desk-words").textContent);
  const charts = new Map();
  const shown = new Map();
  let timer = 0;
  let lastAt = at.textContent;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => document.documentElement.classList.contains("dark");

  const SERIES = {
    ends: (c) => [
      { label: words.approved, data: c.ends.approved, light: "#15803d", dark: "#4ade80" },
      { label: words.declined, data: c.ends.declined, light: "#b91c1c", dark: "#f87171" },
      { label: words.other, data: c.ends.other, light: "#b45309", dark: "#fbbf24" },
      { label: words.accepted, data: c.accepted, light: "#1d4ed8", dark: "#93c5fd", type: "line" },
    ],
    answers: (c) => [
      { label: "p50", data: c.answers[0], light: "#15803d", dark: "#4ade80" },
      { label: "p95", data: c.answers[1], light: "#b45309", dark: "#fbbf24" },
      { label: "p99", data: c.answers[2], light: "#b91c1c", dark: "#f87171" },
    ],
  };

  // A moment between two without a figure would not be seen as a line.
  const alone = (data, i) => data[i] != null && data[i - 1] == null && data[i + 1] == null;

  const datasets = (kind, figures) =>
    SERIES[kind](figures).map(({ light, dark, type, ...rest }) => {
      const own = isDark() ? dark : light;
      const line = kind === "answers" || type === "line";
      return {
        ...rest,
        type: line ? "line" : "bar",
        borderColor: own,
        backgroundColor: own,
        borderWidth: line ? 1.5 : 0,
        pointRadius: (c) => (line && alone(c.dataset.data, c.dataIndex) ? 2 : 0),
        stepped: type === "line" ? "middle" : false,
        tension: 0,
        spanGaps: false,
        stack: line ? undefined : "ends",
        order: line ? 0 : 1,
      };
    });

  const paint = (canvas, figures) => {
    const { span, kind } = canvas.dataset;
    const own = figures[span];
    let chart = charts.get(canvas);
    const text = colour(isDark() ? "--color-font-default-dark" : "--color-font-default-light");
    const grid = colour(isDark() ? "--color-base-700" : "--color-base-200");
    if (!chart) {
      chart = new Chart(canvas, {
        type: kind === "ends" ? "bar" : "line",
        data: { labels: [], datasets: [] },
        options: {
          animation: false,
          maintainAspectRatio: false,
          interaction: { mode: "index", intersect: false },
          plugins: { legend: { position: "bottom", labels: { boxWidth: 10, boxHeight: 10 } } },
          datasets: { bar: { categoryPercentage: 1, barPercentage: 0.85 } },
          scales: {
            x: { stacked: kind === "ends", grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 24 } },
            y: { stacked: kind === "ends", beginAtZero: true, border: { display: false }, ticks: { precision: 0, maxTicksLimit: 5 } },
          },
        },
      });
      charts.set(canvas, chart);
    }
    for (const scale of [chart.options.scales.x, chart.options.scales.y]) scale.ticks.color = text;
    chart.options.scales.y.grid = { color: grid };
    chart.options.plugins.legend.labels.color = text;
    chart.data.labels = own.labels;
    chart.data.datasets = datasets(kind, own);
    chart.update("none");
  };

  let figures = JSON.parse(document.getElementById("desk-charts").textContent);
  const paintAll = () => desk.querySelectorAll("canvas").forEach((canvas) => paint(canvas, figures));

  // A part is put in place of the old one only when it changed; who has the keyboard in it keeps it.
  const place = (parts) => {
    for (const [name, html] of Object.entries(parts)) {
      if (shown.get(name) === html) continue;
      shown.set(name, html);
      const part = desk.querySelector(`[data-part="${name}"]`);
      const held = part.contains(document.activeElement) ? document.activeElement.id : "";
      part.innerHTML = html;
      if (held) document.getElementById(held)?.focus({ preventScroll: true });
    }
  };

  const say = (text, address, link) => {
    trouble.textContent = text;
    if (address) {
      const anchor = document.createElement("a");
      anchor.href = address;
      anchor.textContent = link;
      trouble.append(" ", anchor);
    }
    desk.classList.toggle("fm-stale", text !== "");
  };

  const look = async () => {
    try {
      const answer = await fetch(desk.dataset.address, {
        headers: { Accept: "application/json" },
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      if (answer.type === "opaqueredirect" || answer.status === 403) {
        say(desk.dataset.signedOut, desk.dataset.signIn, desk.dataset.signInAgain);
        return false;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      place(told.parts);
      figures = told.charts;
      paintAll();
      at.textContent = lastAt = told.at;
      say("");
    } catch {
      say(`${desk.dataset.noAnswer} ${lastAt}.`);
    }
    return true;
  };

  const again = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    if (await look()) timer = setTimeout(again, EVERY_MS);
  };

  document.addEventListener("visibilitychange", again);
  new MutationObserver(paintAll).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  paintAll();
  timer = setTimeout(again, EVERY_MS);
})();
