export const metrics = {};

class Metric {
  constructor(name) {
    this.added = metrics[name] = [];
  }

  add(value, tags) {
    this.added.push({ value, tags });
  }
}

export { Metric as Counter, Metric as Rate, Metric as Trend };
