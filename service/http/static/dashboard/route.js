// Where the page is: everything that a bookmark needs is behind the `#`.

export const ORDERS = { id: "Id", free: "Fewest free", held: "Most held" };

export function address(seller, id) {
  return `#${new URLSearchParams(id === undefined ? { seller } : { seller, id })}`;
}

export function route() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const order = parameters.get("order");
  return {
    seller: parameters.get("seller"),
    id: parameters.get("id"),
    search: parameters.get("search") ?? "",
    order: Object.hasOwn(ORDERS, order) ? order : "id",
    offset: Math.max(0, Math.trunc(Number(parameters.get("offset"))) || 0),
  };
}

// Returns the address of the same list with other choices; what is as usual is left out.
export function altered({ seller, search, order, offset }, changes) {
  const choices = { seller, search, order, offset, ...changes };
  const usual = { seller: null, search: "", order: "id", offset: 0 };
  const told = Object.entries(choices).filter(([name, value]) => value !== usual[name]);
  return `#${new URLSearchParams(told)}`;
}
