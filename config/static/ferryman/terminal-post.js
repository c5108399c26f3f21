// Posts a payment through the public API, as a terminal must: one key a payment, the same one until an answer came.
const WAIT_S = 10;
const PATIENCE_MS = 20000;
const TRIES = 5;
const FIRST_PAUSE_MS = 1000;
const LOOK_MS = 1000;
const LONGEST_LOOK_MS = 5000;
const MAYBE_ACCEPTED = "urn:ferryman:problem:database-away";

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export class SignedOut extends Error {}
export class NoKey extends Error {}

export class Client {
  #given;

  #token;

  // Only here: in no storage, and gone with the page.
  #key = null;

  constructor(given, token) {
    this.#given = given;
    this.#token = token;
  }

  // Makes sure that there is an API key; raises SignedOut or NoKey, before anything was posted.
  async signOn() {
    if (this.#key) return;
    let answer;
    try {
      const asked = { method: "POST", headers: { "X-CSRFToken": this.#token }, redirect: "manual" };
      answer = await fetch(this.#given.api_key, { ...asked, signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch {
      throw new NoKey();
    }
    if (answer.type === "opaqueredirect" || answer.status === 403) throw new SignedOut();
    if (!answer.ok) throw new NoKey();
    this.#key = (await answer.json()).key;
  }

  // Returns {payment}, {refused: problem}, {later: problem, seconds}, or {unknown: true, problem} after several tries.
  async post({ order, key, mayBeAccepted: mayHaveBeen }, tell) {
    const body = JSON.stringify(order);
    let mayBeAccepted = mayHaveBeen;
    let problem = null;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const answer = await this.#once(body, key);
      problem = answer.problem ?? null;
      if (answer.payment) return answer;
      if (answer.status === 401 && tries < TRIES - 1) {
        tell("renewing");
        this.#key = null;
        await this.signOn();
        continue;
      }
      const isOpen = !answer.status || answer.status >= 500;
      if (!isOpen && answer.status !== 429) return mayBeAccepted && answer.status === 401 ? { unknown: true, problem } : { refused: problem };
      const isRefusal = answer.status === 429 || (answer.status === 503 && problem && problem.type !== MAYBE_ACCEPTED);
      if (isRefusal && !mayBeAccepted) return { later: problem, seconds: answer.seconds };
      mayBeAccepted = true;
      tell("again");
      if (tries < TRIES - 1) await pause(Math.max(1000 * answer.seconds, FIRST_PAUSE_MS * 2 ** tries));
    }
    return { unknown: true, problem };
  }

  // Tells every change of a payment until it has ended or somebody stops listening.
  async follow(payment, tell, signal) {
    let look = LOOK_MS;
    for (let seen = payment; !seen.ended_at && !signal.aborted; ) {
      await pause(look);
      look = Math.min(look * 1.3, LONGEST_LOOK_MS);
      try {
        const headers = { Authorization: `Bearer ${this.#key}` };
        const until = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
        const answer = await fetch(`${this.#given.payments}/${payment.id}`, { headers, signal: until });
        if (answer.status === 401) {
          this.#key = null;
          await this.signOn();
        }
        if (!answer.ok) continue;
        const now = await answer.json();
        if (now.version !== seen.version) {
          seen = now;
          if (!signal.aborted) tell(now);
        }
      } catch {
        // No answer says nothing about the payment: it is looked at again.
      }
    }
  }

  async #once(body, key) {
    try {
      const headers = {
        Authorization: `Bearer ${this.#key}`,
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        Prefer: `wait=${WAIT_S}`,
      };
      const answer = await fetch(this.#given.payments, { method: "POST", headers, body, signal: AbortSignal.timeout(PATIENCE_MS) });
      const seconds = Number(answer.headers.get("Retry-After")) || 0;
      const read = await answer.json().catch(() => null);
      if (answer.ok && read) return { payment: read, status: answer.status, seconds };
      return { problem: read, status: answer.ok ? 0 : answer.status, seconds };
    } catch {
      return { status: 0, seconds: 0 };
    }
  }
}
