/** C1, C2 and B from a front-end in Node; its types are generated from docs/openapi.json. */

import type { components, operations } from "./lease-service";

declare const process: { argv: string[] };

type Schemas = components["schemas"];
type OrderRequest = Schemas["OrderRequest"];
type OrderQuote = Schemas["OrderQuote"];
type Order = Schemas["Order"];
type BookingPartner = NonNullable<
  operations["put_order_quotes_uuid"]["parameters"]["header"]
>["Booking-Partner"];

const ATTEMPTS = 5;
const PATIENCE_SECONDS = 10;

/** What the service refused, as the standard has it. */
class LeaseServiceError extends Error {
  constructor(readonly said: Schemas["Error"]) {
    super(`${said["@type"]}: ${said.description}`);
  }
}

/** Repeats a call that got no answer, or one that says to repeat it soon: the same call is safe. */
async function put<Answer>(url: string, body: OrderRequest, partner: BookingPartner): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    let seconds = attempt / 5;
    try {
      const response = await fetch(url, {
        method: "PUT",
        headers: { "Content-Type": "application/json", "Booking-Partner": partner ?? "default" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5_000),
      });
      const said = await response.json();
      // A refused OrderQuote is an answer too: each OrderItem says how it stands.
      if (response.ok || said["@type"] === "OrderQuote") return said as Answer;
      seconds = Number(response.headers.get("Retry-After") ?? seconds);
      const mayPass = response.status === 503 || response.status === 429;
      if (!mayPass || seconds > PATIENCE_SECONDS || attempt === ATTEMPTS) {
        throw new LeaseServiceError(said);
      }
    } catch (error) {
      if (error instanceof LeaseServiceError || attempt === ATTEMPTS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  }
}

async function main(service: string, opportunity: string): Promise<void> {
  const uuid = crypto.randomUUID();
  const body: OrderRequest = { orderedItem: [{ orderedItem: opportunity, acceptedOffer: "adult" }] };
  await put<OrderQuote>(`${service}/order-quote-templates/${uuid}`, body, "acme");
  const quote = await put<OrderQuote>(`${service}/order-quotes/${uuid}`, body, "acme");
  const errors = quote.orderedItem.flatMap((item) => item.error ?? []);
  if (errors.length > 0 || !quote.lease) {
    console.log(`refused: ${errors.map((error) => error.description).join(" ")}`);
    return;
  }
  console.log(`leased until ${quote.lease.leaseExpires}`);
  const order = await put<Order>(`${service}/orders/${uuid}`, body, "acme");
  console.log(`booked ${order.orderedItem.length}`);
}

const [service = "http://127.0.0.1:8080", opportunity = "yoga"] = process.argv.slice(2);
await main(service, opportunity);
