// Stands in for k6's modules, so that Node.js can carry out load/orders.k6.js: tests/integration/test_k6_script.py.
export const checks = { passed: 0, failed: 0 };

export function check(value, conditions) {
  for (const holds of Object.values(conditions)) {
    checks[holds(value) ? "passed" : "failed"] += 1;
  }
}

export function sleep() {}
