// A service that takes every order, replaces each but the first, which has been executed, and cancels none at once.
export const asked = [];
const orders = new Map();

function answer(status, body) {
  return { status, json: () => body };
}

function answered(method, path, body) {
  if (method === "POST") {
    const type = body.limit_price ? "limit" : "market";
    const order = { order_id: `order-${orders.size}`, type, status: "Placed", quantity: body.quantity };
    orders.set(order.order_id, order);
    return answer(201, order);
  }
  const order = orders.get(path.split("/")[2]);
  if (!order) {
    return answer(path.startsWith("/orders?") ? 200 : 404, {});
  }
  if (method !== "GET" && order.order_id === "order-0") {
    return answer(400, {});
  }
  Object.assign(order, body || {});
  return answer(method === "DELETE" ? 202 : 200, { ...order });
}

export default {
  request(method, url, body, params) {
    const path = url.replace(/^http:\/\/[^/]+/, "");
    asked.push({ method, path, body: body ? JSON.parse(body) : null, tags: params.tags, headers: params.headers });
    return answered(method, path, body ? JSON.parse(body) : null);
  },
};
