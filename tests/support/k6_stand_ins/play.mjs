// node play.mjs TURNS: carries the script beside it out, and says as JSON what it did.
import { readFileSync } from "node:fs";
import { checks } from "k6";
import exec from "k6/execution";
import { asked } from "k6/http";
import { metrics } from "k6/metrics";
import { opened } from "k6/websockets";

const said = [];
console.log = (line) => said.push(line);
globalThis.__ENV = { ...process.env, PHASE: "0" };
globalThis.open = (path) => readFileSync(path, "utf-8");
const script = await import("./orders.k6.js");
for (let turn = 0; turn < Number(process.argv[2]); turn += 1) {
  exec.vu.iterationInInstance = turn;
  script.act();
}
script.announce();
script.watch();
const values = { count: 3, med: 1, "p(90)": 2, "p(99)": 3, max: 4 };
const summary = script.handleSummary({
  metrics: { "from_intended{op:place}": { values, thresholds: { "p(99)<=1": { ok: false } } } },
});
process.stdout.write(JSON.stringify({ asked, checks, metrics, opened, options: script.options, said, summary }));
