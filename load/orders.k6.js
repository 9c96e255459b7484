// The scenarios of load/scenarios.json for k6 (https://k6.io):
//
//   k6 run load/orders.k6.js                                   the default scenario, at http://127.0.0.1:8000
//   k6 run -e SCENARIO=spike -e BASE_URL=... load/orders.k6.js another one, elsewhere
//
// load/README.md has all of it. What k6 cannot do: it has no way to the simulated exchange's control socket, so that a
// phase's faults are set by hand (each phase says at its beginning which); and it does not compare what was accepted with
// orders, trades and journal. `make load` does both.
// @ts-check
import { check, sleep } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Rate, Trend } from "k6/metrics";
import { setTimeout } from "k6/timers";
import { WebSocket } from "k6/websockets";
import { faultWords, planOf } from "./k6_plan.js";

/** @typedef {import("./k6_plan.js").Scenario} Scenario */
/** @typedef {{order_id: string, quantity: number, type: string, status: string}} Order */

const BASE_URL = (__ENV.BASE_URL || "http://127.0.0.1:8000").replace(/\/$/, "");
const NAME = __ENV.SCENARIO || "default";
const RUN = __ENV.RUN || `k6-${Date.now().toString(36)}`;
const KEPT_ORDERS = 50; // that a user remembers, as in load/run/users.py
const LIST_LIMIT = 20;
/** @type {Record<string, number[]>} Statuses that a client of a sound service may get, as in load/run/users.py. */
const EXPECTED = {
  place: [200, 201],
  get: [200],
  list: [200],
  cancel: [200, 202, 400, 409],
  replace: [200, 202, 400, 409, 422],
};

/** @type {Record<string, Scenario>} */
const scenarios = JSON.parse(open("./scenarios.json")).scenarios;
if (!(NAME in scenarios)) {
  throw new Error(`there is no scenario ${NAME}; there are ${Object.keys(scenarios).join(", ")}`);
}
const scenario = scenarios[NAME];
const plan = planOf(scenario);

export const options = {
  scenarios: /** @type {import("k6/options").Options["scenarios"]} */ (plan.scenarios),
  thresholds: plan.thresholds,
  summaryTrendStats: ["count", "med", "p(90)", "p(99)", "max"],
};

const fromIntended = new Trend("from_intended", true); // from the time that a request was meant to leave
const unexpected = new Rate("unexpected"); // answers that a client should not get
const feedDelay = new Trend("feed_delay", true); // from an order's own time to its message
const feedMessages = new Counter("feed_messages");
const feedRepeats = new Counter("feed_repeats"); // positions that went back

/** @type {Map<string, number>} A user's limit orders that may still be changed, with their quantities. */
const resting = new Map();
/** @type {string[]} A user's newest orders. */
const recent = [];

/** @type {Record<string, string>} */
const headers = { "Content-Type": "application/json" };
if (__ENV.ORDERS_API_KEY) {
  headers.Authorization = `Bearer ${__ENV.ORDERS_API_KEY}`;
}

// One user's turn. In the model of users it leaves when it is this user's turn; in that of arrivals k6 says when.
export function act() {
  const intended = scenario.model === "users" ? turn() : Date.now();
  if (intended === null) {
    return;
  }
  const operation = choose();
  const answer = ask(operation);
  fromIntended.add(Date.now() - intended, { op: operation });
  const fits = EXPECTED[operation].includes(answer.status);
  unexpected.add(!fits, { op: operation });
  check(answer, { "answered as it may be": () => fits }, { op: operation });
}

// Says once, at its beginning, what a phase is, and which faults a person has to set now.
export function announce() {
  const phase = scenario.phases[Number(__ENV.PHASE)];
  const faults = phase.faults ? `; now: orders exchange faults ${faultWords(phase.faults)}` : "";
  console.log(`${phase.name}: ${phase.seconds} s, ${phase.per_second} requests/s${faults}`);
}

// One socket for the whole run: each event once, positions rising.
export function watch() {
  const address = `${BASE_URL.replace(/^http/, "ws")}/ws`;
  const socket = new WebSocket(address, null, { headers });
  let position = 0;
  socket.onmessage = (message) => {
    const told = JSON.parse(message ? String(message.data) : "{}");
    if (!told.event) {
      return;
    }
    feedMessages.add(1);
    if (told.position <= position) {
      feedRepeats.add(1);
    }
    position = told.position;
    if (told.event === "OrderPlaced") {
      feedDelay.add(Math.max(0, Date.now() - Date.parse(told.time)));
    }
  };
  setTimeout(() => socket.close(), plan.watch_ms);
}

/**
 * What k6 prints at the end, and leaves as JSON in the folder where it was started.
 * @param {{metrics: Record<string, {values: Record<string, number>, thresholds?: Record<string, {ok: boolean}>}>}} data
 */
export function handleSummary(data) {
  const lines = [`${NAME}: run ${RUN}`, "", ["from intended, ms", "requests", "p50", "p90", "p99", "worst"].map(cell).join("")];
  for (const operation of Object.keys(EXPECTED)) {
    const values = data.metrics[`from_intended{op:${operation}}`]?.values;
    if (values) {
      const shown = ["count", "med", "p(90)", "p(99)", "max"].map((name) => Math.round(values[name]).toString());
      lines.push([operation, ...shown].map(cell).join(""));
    }
  }
  lines.push("");
  for (const [name, metric] of Object.entries(data.metrics)) {
    for (const [threshold, { ok }] of Object.entries(metric.thresholds || {})) {
      lines.push(`${ok ? "ok    " : "MISSED"} ${name}: ${threshold}`);
    }
  }
  return { stdout: `${lines.join("\n")}\n`, [`k6-${NAME}.json`]: JSON.stringify(data, null, 2) };
}

/**
 * @param {string} text
 * @param {number} column
 */
function cell(text, column) {
  return column ? text.padStart(10) : text.padEnd(18);
}

/** @returns {number | null} When this user's turn was meant to be, not before then; null where the phase is over. */
function turn() {
  const phase = scenario.phases[Number(__ENV.PHASE)];
  const pace_ms = (1000 * scenario.users) / phase.per_second;
  const offset_ms = (1000 * ((exec.vu.idInTest - 1) % scenario.users)) / phase.per_second;
  const after_ms = offset_ms + exec.vu.iterationInScenario * pace_ms;
  const intended = exec.scenario.startTime + Math.min(after_ms, 1000 * phase.seconds);
  sleep(Math.max(0, intended - Date.now()) / 1000);
  return after_ms < 1000 * phase.seconds ? intended : null;
}

/** @returns {string} The next operation, by the weights of the mix. Who has no order to change or to see places one. */
function choose() {
  const weights = Object.entries(scenario.mix);
  let left = Math.random() * weights.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [operation, weight] of weights) {
    left -= weight;
    if (left < 0) {
      const lacks = (operation === "get" && !recent.length) || (operation in { cancel: 1, replace: 1 } && !resting.size);
      return lacks ? "place" : operation;
    }
  }
  return "place";
}

/**
 * @param {string} operation
 * @returns {import("k6/http").RefinedResponse<"text">}
 */
function ask(operation) {
  switch (operation) {
    case "place":
      return place();
    case "get":
      return send("GET", `/orders/${any(recent)}`, null, operation, "/orders/{id}");
    case "list":
      return send("GET", `/orders?limit=${LIST_LIMIT}`, null, operation, "/orders");
    default:
      return change(operation, any([...resting.keys()]));
  }
}

function place() {
  const terms = { client_order_id: `${RUN}-${exec.vu.idInTest}-${exec.vu.iterationInInstance}`, ...newTerms() };
  const answer = send("POST", "/orders", terms, "place", "/orders");
  if (EXPECTED.place.includes(answer.status)) {
    const order = orderOf(answer);
    recent.push(order.order_id);
    if (recent.length > KEPT_ORDERS) {
      recent.shift();
    }
    if (order.type === "limit") {
      resting.set(order.order_id, order.quantity);
    }
    if (resting.size > KEPT_ORDERS) {
      resting.delete([...resting.keys()][0]);
    }
  }
  return answer;
}

/**
 * @param {string} operation
 * @param {string} orderId
 */
function change(operation, orderId) {
  const quantity = (resting.get(orderId) || 0) + between(1, 10);
  const cancels = operation === "cancel";
  const body = cancels ? null : { quantity };
  const answer = send(cancels ? "DELETE" : "PUT", `/orders/${orderId}`, body, operation, "/orders/{id}");
  if (cancels || answer.status === 400 || (answer.status < 300 && orderOf(answer).status !== "Placed")) {
    resting.delete(orderId);
  } else if (answer.status < 300) {
    resting.set(orderId, orderOf(answer).quantity);
  }
  return answer;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object | null} body
 * @param {string} operation
 * @param {string} name groups the addresses of one route
 */
function send(method, path, body, operation, name) {
  const params = { headers, tags: { op: operation, name: `${method} ${name}` }, timeout: "30s" };
  return http.request(method, BASE_URL + path, body ? JSON.stringify(body) : null, params);
}

function newTerms() {
  const orders = scenario.orders;
  const side = any(["buy", "sell"]);
  const terms = { symbol: any(orders.symbols), side, quantity: between(orders.quantities[0], orders.quantities[1]) };
  if (Math.random() >= orders.limit_share) {
    return terms;
  }
  return { ...terms, limit_price: any(side === "buy" ? orders.bids : orders.offers), time_in_force: "day" };
}

/**
 * @param {import("k6/http").RefinedResponse<"text">} answer
 * @returns {Order}
 */
function orderOf(answer) {
  return /** @type {any} */ (answer.json());
}

/**
 * @template T
 * @param {T[]} values
 * @returns {T}
 */
function any(values) {
  return values[between(0, values.length - 1)];
}

/**
 * @param {number} low
 * @param {number} high
 */
function between(low, high) {
  return low + Math.floor(Math.random() * (high - low + 1));
}
