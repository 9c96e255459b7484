// What k6 has besides its modules, and its types leave out: https://grafana.com/docs/k6/latest/javascript-api/
declare const console: { log(text: string): void };
