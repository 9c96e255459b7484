// Tells three messages when it is closed; the last one's position goes back.
export const opened = [];

export class WebSocket {
  constructor(url, protocols, params) {
    opened.push({ url, headers: params.headers });
  }

  close() {
    const time = new Date(Date.now() - 20).toISOString();
    for (const position of [5, 6, 6]) {
      this.onmessage({ data: JSON.stringify({ event: "OrderPlaced", position, time }) });
    }
    this.onmessage({ data: JSON.stringify({ type: "heartbeat", position: 7 }) });
  }
}
