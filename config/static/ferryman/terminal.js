// The terminal's steps: card, operation, details, amount, PIN, receipt. What it knows of a customer ends with him.
import { PinPad, deriveKey } from "./terminal-pin.js";
import { Client, NoKey, SignedOut } from "./terminal-post.js";
import { money, receiptFacts } from "./terminal-receipt.js";

const MOST_DIGITS = 10;
const NEEDS_PIN = ["withdrawal", "balance_inquiry"];
const DETAILS = ["transfer", "bill_payment"];

const find = (id) => document.getElementById(id);
const given = JSON.parse(find("terminal-given").textContent);
const { texts } = given;
const machine = find("terminal").dataset;
const client = new Client(given, document.querySelector("#terminal-form input").value);
const pinKey = deriveKey(given.terminal_key, given.key_context);
const pad = new PinPad();

let step = "";
let chosen = {};
let amount = "";
let asked = null;
let listening = new AbortController();
let ticking = 0;
let isWarned = false;

const trouble = (text) => { find("trouble").textContent = text; };

const show = (next) => {
  step = next;
  machine.shown = next;
  trouble("");
  for (const section of document.querySelectorAll("[data-step]")) section.hidden = section.dataset.step !== next;
  for (const button of document.querySelectorAll("[data-ending]")) button.disabled = next !== "amount";
  // After a press with the mouse, Enter means the terminal's Enter and not that button again; who moves by Tab stays there.
document.addEventListener("click", (event) => {
  if (event.detail && event.target.closest("[data-key], [data-ending], #amounts button")) {
    document.querySelector(`[data-step="${step}"] h2`).focus({ preventScroll: true });
  }
});

for (const button of document.querySelectorAll("[data-key]")) button.disabled = next === "busy";
  document.querySelector(`[data-step="${next}"] h2`).focus();
};

const drawAmount = () => {
  find("amount").textContent = money(Number(amount || 0), chosen.card.currency, given.digits);
};

const drawPin = () => {
  find("pin-dots").textContent = "•".repeat(pad.length);
  find("pin-said").textContent = pad.length ? texts.digits.replace("{n}", pad.length) : texts.no_digits;
};

const begin = () => {
  isWarned = false;
  listening.abort();
  clearInterval(ticking);
  pad.wipe();
  chosen = {};
  amount = "";
  asked = null;
  show("card");
};

const askAmount = () => {
  amount = "";
  find("amounts").replaceChildren(...chosen.card.amounts.map((minor) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = money(minor, chosen.card.currency, given.digits);
    button.addEventListener("click", () => { amount = String(minor); drawAmount(); });
    return button;
  }));
  show("amount");
  drawAmount();
};

const askPin = () => {
  pad.wipe();
  const what = texts[chosen.operation];
  find("pin-for").textContent = chosen.operation === "balance_inquiry" ? what : `${what}: ${find("amount").textContent}`;
  show("pin");
  drawPin();
};

const chooseCard = (card) => { chosen = { card, details: {} }; show("menu"); };

const chooseOperation = (operation) => {
  chosen.operation = operation;
  if (DETAILS.includes(operation)) {
    show(operation);
    document.querySelector(`[data-step="${operation}"] input`).focus();
  } else if (operation === "balance_inquiry") {
    askPin();
  } else {
    askAmount();
  }
};

// What the receipt says: of a payment, or of an answer that is none.
const told = (state, reason, payment) => {
  find("receipt").dataset.tone = state.tone;
  find("step-receipt").textContent = state.title;
  find("advice").textContent = [state.advice, chosen.operation === "withdrawal" && state.cash].filter(Boolean).join(" ");
  find("reason").textContent = reason;
  find("waits").textContent = "";
  find("facts").replaceChildren(...receiptFacts({ payment, asked, chosen, given, machine }));
  find("story").hidden = !payment;
  if (payment) find("story").href = given.story.replace("{id}", payment.id);
  else find("story").removeAttribute("href");
};

const showPayment = (payment) => {
  const meaning = payment.status === "declined" && given.codes[payment.response_code];
  const reason = [meaning && `${meaning[0].toUpperCase()}${meaning.slice(1)}.`, payment.reason && (given.reasons[payment.reason.code] ?? payment.reason.text)].filter(Boolean).join(" ");
  told(given.states[payment.status], reason, payment);
  if (payment.ended_at) asked.isOver = true;
};

const showProblem = (title, advice, problem) => {
  told({ tone: title === texts.unknown ? "open" : "bad", title, advice, cash: texts.no_cash }, "", null);
  const wrong = (problem?.errors ?? []).map((error) => error.detail ?? "").join(" ");
  find("reason").textContent = [problem?.title && `${problem.title}.`, problem?.detail, wrong].filter(Boolean).join(" ");
};

const countDown = (seconds) => {
  const until = Date.now() + 1000 * seconds;
  const tick = () => {
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    find("waits").textContent = left ? texts.wait.replace("{n}", left) : texts.wait_over;
    find("again").disabled = left > 0;
    if (!left) clearInterval(ticking);
  };
  clearInterval(ticking);
  ticking = setInterval(tick, 250);
  tick();
};

const settle = (outcome) => {
  find("again").hidden = !(outcome.unknown || outcome.later);
  find("again").disabled = false;
  if (outcome.payment) {
    delete asked.order.card; // it is accepted, and never posted again
    showPayment(outcome.payment);
    void client.follow(outcome.payment, showPayment, listening.signal);
  } else if (outcome.later) {
    asked.isOver = true;
    showProblem(texts.not_now, texts.nothing_accepted, outcome.later);
    countDown(outcome.seconds);
  } else if (outcome.refused) {
    asked.isOver = true;
    showProblem(texts.refused, texts.nothing_accepted, outcome.refused);
  } else {
    asked.mayBeAccepted = true;
    showProblem(texts.unknown, texts.unknown_advice, outcome.problem ?? { title: "", detail: texts.unknown_reason });
  }
  show("receipt");
};

const ask = async () => {
  asked.isOver = false;
  listening = new AbortController();
  find("busy").textContent = texts.asking;
  show("busy");
  try {
    await client.signOn();
  } catch (error) {
    return unasked(error);
  }
  try {
    return settle(await client.post(asked, (what) => { find("busy").textContent = texts[what]; }));
  } catch (error) {
    // Signing on again in the middle: whether an earlier try was accepted is not known.
    if (error instanceof SignedOut || error instanceof NoKey) return settle({ unknown: true });
    throw error;
  }
};

const unasked = (error) => {
  if (!(error instanceof SignedOut || error instanceof NoKey)) throw error;
  if (asked.mayBeAccepted) return settle({ unknown: true, problem: { title: "", detail: error instanceof SignedOut ? texts.signed_out : "" } });
  settle({ refused: { title: "", detail: error instanceof SignedOut ? texts.signed_out : texts.no_key } });
};

const post = async () => {
  const { card, operation, details } = chosen;
  const key = crypto.randomUUID();
  const order = {
    operation,
    amount: operation === "balance_inquiry" ? 0 : Number(amount),
    currency: card.currency,
    card: { pan: card.pan, expiry: card.expiry },
    source_account: card.account,
    link: given.link,
    reference: `terminal-${key.slice(0, 8)}`,
    ...details,
  };
  asked = { key, order, at: new Date(), isOver: false, mayBeAccepted: false };
  if (NEEDS_PIN.includes(operation)) order.card.pin_block = await pad.block(card.pan, pinKey);
  await ask();
};

const enter = () => {
  if (step === "amount") {
    if (!Number(amount)) return trouble(texts.amount_none);
    return NEEDS_PIN.includes(chosen.operation) ? askPin() : post();
  }
  if (step === "pin") return pad.length < PinPad.SHORTEST ? trouble(texts.pin_short) : post();
  if (DETAILS.includes(step)) return document.querySelector(`[data-step="${step}"] form`).requestSubmit();
  if (step === "receipt" && asked.isOver) return begin();
};

const press = (digits) => {
  trouble("");
  if (step === "amount" && (amount + digits).length <= MOST_DIGITS) {
    amount = String(Number(amount + digits) || "");
    drawAmount();
  } else if (step === "pin") {
    for (const digit of digits) pad.press(Number(digit));
    drawPin();
  }
};

const takeBack = () => {
  if (step === "amount") { amount = amount.slice(0, -1); drawAmount(); }
  if (step === "pin") { pad.takeBack(); drawPin(); }
};

// A payment whose end is open is not left by a key that somebody hit.
const cancel = () => { if (step !== "busy" && (!asked || asked.isOver)) begin(); };

const key = (name) => {
  if (name === "Enter") return enter();
  if (name === "Escape") return cancel();
  return name === "Backspace" ? takeBack() : press(name);
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  const isElsewhere = at instanceof HTMLInputElement || (event.key === "Enter" && (at instanceof HTMLButtonElement || at instanceof HTMLAnchorElement));
  if (event.key === "Escape" || (!isElsewhere && (/^[0-9]$/.test(event.key) || ["Enter", "Backspace"].includes(event.key)))) {
    event.preventDefault();
    key(event.key);
  }
});

// After a press with the mouse, Enter means the terminal's Enter and not that button again; who moves by Tab stays there.
document.addEventListener("click", (event) => {
  if (event.detail && event.target.closest("[data-key], [data-ending], #amounts button")) {
    document.querySelector(`[data-step="${step}"] h2`).focus({ preventScroll: true });
  }
});

for (const button of document.querySelectorAll("[data-key]")) button.addEventListener("click", () => key(button.dataset.key));
for (const button of document.querySelectorAll("[data-operation]")) button.addEventListener("click", () => chooseOperation(button.dataset.operation));
for (const button of document.querySelectorAll("[data-ending]")) {
  button.addEventListener("click", () => {
    const before = Number(amount) || chosen.card.amounts[0];
    amount = String(before - (before % 100) + Number(button.dataset.ending));
    drawAmount();
  });
}
for (const form of document.querySelectorAll("form[data-next]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    chosen.details = Object.fromEntries(new FormData(form));
    askAmount();
  });
}
find("cards").replaceChildren(...given.cards.map((card) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `${card.currency} •••• ${card.pan.slice(-4)}`;
  button.addEventListener("click", () => chooseCard(card));
  return button;
}));
find("again").addEventListener("click", ask);
find("print").addEventListener("click", () => window.print());
find("new").addEventListener("click", () => {
  if (asked.isOver || isWarned) return begin();
  isWarned = true;
  trouble(texts.leave);
});
window.addEventListener("beforeunload", (event) => { if (asked && !asked.isOver) event.preventDefault(); });
window.addEventListener("pagehide", () => pad.wipe());
begin();
