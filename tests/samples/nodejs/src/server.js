const express = require("express");

const app = express();
app.get("/", (request, response) => {
  response.send(`Hello, ${request.query.name ?? "world"}, from Node.js.`);
});
const server = app.listen(Number(process.env.PORT), "0.0.0.0");
process.on("SIGTERM", () => server.close());
