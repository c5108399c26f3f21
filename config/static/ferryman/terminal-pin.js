// The PIN pad: makes the PIN block on the spot and forgets the digits. Nothing here is logged, stored or sent.
const BLOCK_BYTES = 8;
const ITERATIONS = 100000;
const encoder = new TextEncoder();

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();

// The key that encrypts PIN blocks, derived from the terminal's as the bank's specification says; it cannot be read out.
export const deriveKey = async (terminalKey, context) => {
  const password = await crypto.subtle.importKey("raw", encoder.encode(terminalKey.toUpperCase()), "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt: encoder.encode(context), iterations: ITERATIONS };
  return crypto.subtle.deriveKey(how, password, { name: "AES-CBC", length: 128 }, false, ["encrypt"]);
};

// ISO 9564 format 0: length and digits, filled with F, XOR the twelve digits of the card before its check digit.
const formatZero = (digits, length, pan) => {
  const block = new Uint8Array(BLOCK_BYTES).fill(0xff);
  block[0] = length;
  for (let at = 0; at < length; at += 1) {
    const place = 1 + (at >> 1);
    block[place] = at % 2 ? (block[place] & 0xf0) | digits[at] : (digits[at] << 4) | 0x0f;
  }
  const account = pan.slice(-13, -1);
  for (let at = 0; at < account.length; at += 2) block[2 + at / 2] ^= parseInt(account.slice(at, at + 2), 16);
  return block;
};

export class PinPad {
  static SHORTEST = 4;

  static LONGEST = 12;

  #digits = new Uint8Array(PinPad.LONGEST);

  #length = 0;

  get length() {
    return this.#length;
  }

  press(digit) {
    if (this.#length === PinPad.LONGEST) return;
    this.#digits[this.#length] = digit;
    this.#length += 1;
  }

  takeBack() {
    if (this.#length) this.#digits[(this.#length -= 1)] = 0;
  }

  wipe() {
    this.#digits.fill(0);
    this.#length = 0;
  }

  // Returns what the API takes as `pin_block`: IV and ciphertext in hexadecimal. The digits are gone before it is made.
  async block(pan, key) {
    const clear = formatZero(this.#digits, this.#length, pan);
    this.wipe();
    const iv = crypto.getRandomValues(new Uint8Array(16));
    try {
      return hex(iv) + hex(new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, await key, clear)));
    } finally {
      clear.fill(0);
    }
  }
}
