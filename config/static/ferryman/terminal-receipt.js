// What stands on a receipt, line by line.

// An amount of minor units in its currency's form, as everywhere in Ferryman: "IDR 1,250.68", "JPY 1,000".
export const money = (minor, currency, digits) => {
  const places = digits[currency] ?? 2;
  const text = String(minor).padStart(places + 1, "0");
  const whole = text.slice(0, text.length - places).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${currency} ${whole}${places ? `.${text.slice(-places)}` : ""}`;
};

const row = (name, value) => {
  const [term, told] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  told.textContent = value;
  return [term, told];
};

// Returns the pairs of dt and dd that have something to say.
export const receiptFacts = ({ payment, asked, chosen, given, machine }) => {
  const { texts, digits } = given;
  const { card, operation } = chosen;
  const source = payment ?? asked.order;
  const balances = (payment?.balances ?? []).map((one) => money(one.amount_minor, one.currency, digits));
  const lines = [
    ["balance_of", balances.join(", ")],
    ["Operation", texts[operation]],
    ["Amount", operation === "balance_inquiry" ? "" : money(source.amount, source.currency, digits)],
    ["Card", payment?.card?.masked_pan ?? `•••• ${card.pan.slice(-4)}`],
    ["From account", source.source_account],
    ["To account", source.destination_account],
    ["Biller", source.biller],
    ["Customer number", source.customer_number],
    ["Terminal", machine.terminal],
    ["Time", asked.at.toLocaleString()],
    ["Bank's code", payment?.response_code],
    ["Authorisation code", payment?.authorisation_code],
    ["RRN", payment?.rrn],
    ["Reference", source.reference],
    ["Payment", payment?.id],
  ];
  return lines.filter(([, value]) => value).flatMap(([name, value]) => row(texts[name], value));
};
