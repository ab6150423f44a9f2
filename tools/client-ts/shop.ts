// Sends one message through Tuma's HTTP API, and prints its status. The types are generated from /openapi.json.
import createClient from "openapi-fetch";
import type { paths } from "./tuma";

export async function send(address: string, key: string): Promise<string> {
  const tuma = createClient<paths>({ baseUrl: address, headers: { Authorization: `Bearer ${key}` } });
  const sent = await tuma.POST("/v1/messages", {
    params: { header: { "Idempotency-Key": "order-1234" } },
    body: { to: "+254712345678", via: "kobo-main", body: "Paid. Thank you." },
  });
  if (sent.error) {
    throw new Error(`send: ${sent.error.detail ?? sent.response.status}`);
  }
  const status = await tuma.GET("/v1/messages/{id}", { params: { path: { id: "order-1234" } } });
  if (!status.data) {
    throw new Error(`status: ${status.error.detail ?? status.response.status}`);
  }
  return `${status.data.id} ${status.data.status}`;
}
