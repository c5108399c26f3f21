// Draws what a report's tables say. A chart is {labels, series: [{label, tone, values}], lies?, stacked?, unit?}:
// `lies` has its bars one below the other, for labels of many words.
(() => {
  const TONES = {
    good: ["#15803d", "#4ade80"],
    bad: ["#b91c1c", "#f87171"],
    warn: ["#b45309", "#fbbf24"],
    plain: ["#1d4ed8", "#93c5fd"],
  };
  const A_BAR_PX = 20;
  const AROUND_PX = 90;
  const drawn = new Map();
  const isDark = () => document.documentElement.classList.contains("dark");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const figure = (value) => value.toLocaleString("en-US");

  const options = (chart) => {
    const text = colour(isDark() ? "--color-font-default-dark" : "--color-font-default-light");
    const grid = colour(isDark() ? "--color-base-700" : "--color-base-200");
    const unit = chart.unit || "";
    const names = { stacked: !!chart.stacked, grid: { display: false }, ticks: { color: text, maxRotation: 0, autoSkip: !chart.lies } };
    const figures = {
      stacked: !!chart.stacked,
      beginAtZero: true,
      max: unit === "%" ? 100 : undefined,
      border: { display: false },
      grid: { color: grid },
      ticks: { color: text, precision: 0, maxTicksLimit: 6, callback: (value) => figure(value) + unit },
    };
    return {
      animation: false,
      maintainAspectRatio: false,
      indexAxis: chart.lies ? "y" : "x",
      interaction: { mode: "index", intersect: false, axis: chart.lies ? "y" : "x" },
      plugins: {
        legend: { position: "bottom", labels: { color: text, boxWidth: 10, boxHeight: 10 } },
        tooltip: { callbacks: { label: (c) => `${c.dataset.label}: ${c.raw === null ? "–" : figure(c.raw) + unit}` } },
      },
      scales: chart.lies ? { y: names, x: figures } : { x: names, y: figures },
    };
  };

  const draw = (canvas) => {
    const chart = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
    if (chart.lies) {
      const bars = chart.labels.length * (chart.stacked ? 1 : chart.series.length);
      canvas.parentElement.style.height = `${AROUND_PX + A_BAR_PX * Math.max(bars, chart.labels.length * 1.3)}px`;
    }
    drawn.get(canvas)?.destroy();
    const datasets = chart.series.map(({ label, tone, values }) => ({
      label,
      data: values,
      backgroundColor: TONES[tone][isDark() ? 1 : 0],
      maxBarThickness: 28,
    }));
    drawn.set(canvas, new Chart(canvas, { type: "bar", data: { labels: chart.labels, datasets }, options: options(chart) }));
  };

  const drawAll = () => document.querySelectorAll("canvas[data-chart]").forEach(draw);
  new MutationObserver(drawAll).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  drawAll();
})();
