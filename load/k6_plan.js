// What k6 is to do for a scenario of load/scenarios.json. Pure: no module of k6 is needed, so that any JavaScript engine
// can say what the plan is (tests/integration/test_k6_script.py asks Node.js).
// @ts-check

/**
 * @typedef {{outage_s?: number, error_rate?: number, hang_rate?: number, drop_rate?: number}} Faults
 * @typedef {{name: string, seconds: number, per_second: number, faults?: Faults}} Phase
 * @typedef {{symbols: string[], quantities: [number, number], limit_share: number, bids: string[], offers: string[]}} Orders
 * @typedef {{p99_ms: Record<string, number>, failed_share: number, answered_share: number, feed_p99_ms: number,
 *   settled_s: number, rejected_share: number}} Thresholds
 * @typedef {{about: string, model: "users" | "arrivals", users: number, sockets: number, phases: Phase[],
 *   mix: Record<string, number>, orders: Orders, thresholds: Thresholds}} Scenario
 */

const SOCKETS_SPARE_S = 10; // that the sockets listen beyond the load

/**
 * k6's scenarios and thresholds: a phase is a scenario of its own, beside one that announces it and one of sockets.
 * `watch_ms` is how long the sockets listen.
 * @param {Scenario} scenario
 */
export function planOf(scenario) {
  /** @type {Record<string, object>} */
  const scenarios = {};
  let begins_s = 0;
  scenario.phases.forEach((phase, number) => {
    const shared = { startTime: `${begins_s}s`, env: { PHASE: String(number) } };
    scenarios[`phase_${number}`] = { ...shared, ...load(scenario, phase), exec: "act" };
    scenarios[`announce_${number}`] = { ...shared, executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "announce" };
    begins_s += phase.seconds;
  });
  const watch_s = begins_s + SOCKETS_SPARE_S;
  scenarios.sockets = {
    executor: "per-vu-iterations",
    vus: scenario.sockets,
    iterations: 1,
    maxDuration: `${watch_s + SOCKETS_SPARE_S}s`,
    exec: "watch",
  };
  return { scenarios, thresholds: thresholds(scenario), watch_ms: 1000 * watch_s };
}

/**
 * @param {Scenario} scenario
 * @param {Phase} phase
 */
function load(scenario, phase) {
  const duration = `${phase.seconds}s`;
  if (scenario.model === "users") {
    return { executor: "constant-vus", vus: scenario.users, duration };
  }
  const rate = Math.round(60 * phase.per_second); // k6 takes whole numbers: a minute's are finer
  return { executor: "constant-arrival-rate", rate, timeUnit: "1m", duration, preAllocatedVUs: scenario.users };
}

/**
 * @param {Scenario} scenario
 * @returns {Record<string, string[]>}
 */
function thresholds(scenario) {
  const bounds = scenario.thresholds;
  const requests = scenario.phases.reduce((sum, phase) => sum + phase.seconds * phase.per_second, 0);
  const latencies = Object.entries(bounds.p99_ms)
    .filter(([operation]) => scenario.mix[operation] > 0)
    .map(([operation, most]) => [`from_intended{op:${operation}}`, [`p(99)<=${most}`]]);
  return {
    ...Object.fromEntries(latencies),
    unexpected: [`rate<=${bounds.failed_share}`],
    dropped_iterations: [`count<=${Math.floor((1 - bounds.answered_share) * requests)}`],
    feed_delay: [`p(99)<=${bounds.feed_p99_ms}`],
    feed_repeats: ["count==0"],
  };
}

/**
 * A phase's faults, as `orders exchange faults` takes them.
 * @param {Faults} faults
 */
export function faultWords(faults) {
  const given = Object.entries(faults);
  return given.map(([name, value]) => `--${name.replace(/_s$/, "").replace(/_/g, "-")} ${value}`).join(" ");
}
