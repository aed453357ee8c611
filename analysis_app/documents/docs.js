// Lists the routes of openapi.json: what each does, what it takes, and a command to try it.

const make = (tag, ...children) => {
  const node = document.createElement(tag);
  node.append(...children);
  return node;
};

function fields(schema, all) {
  const named = schema?.$ref ? all[schema.$ref.split("/").pop()] : schema;
  return Object.entries(named?.properties ?? {}).map(([name, field]) => {
    const kind = field.type ?? (field.anyOf ?? []).map((one) => one.type).join(" or ");
    const rest = "default" in field && field.default !== null ? `default ${JSON.stringify(field.default)}` : "";
    return [name, (named.required ?? []).includes(name) ? `${kind}, needed` : kind, [field.description, rest].filter(Boolean).join("; ")];
  });
}

async function show() {
  const { paths, components } = await (await fetch("openapi.json")).json();
  for (const [path, methods] of Object.entries(paths)) {
    if (!path.startsWith("/api/")) continue;
    for (const [method, route] of Object.entries(methods)) {
      const taken = fields(route.requestBody?.content?.["application/json"]?.schema, components?.schemas ?? {});
      const rows = taken.map((row) => make("tr", ...row.map((text, i) => make("td", i ? text : make("code", text)))));
      const body = method === "post" ? ` -H 'Content-Type: application/json' -d '{"run": "last"}'` : "";
      document.querySelector("main").append(make("section", make("h2", make("b", method.toUpperCase()), make("code", path)), make("p", route.description ?? ""), make("table", ...rows), make("pre", `curl -s ${window.location.origin}${path}${body}`)));
    }
  }
}

show();
