export default {
  scenario: { startTime: Date.now() - 1 },
  vu: { idInTest: 3, iterationInInstance: 0, iterationInScenario: 0 },
};
