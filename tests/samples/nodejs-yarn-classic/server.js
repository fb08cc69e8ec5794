const http = require("node:http");
const ms = require("ms");

http
  .createServer((request, response) => {
    response.end(`Hello from Node.js by Yarn 1, an hour is ${ms("1h")} ms.`);
  })
  .listen(Number(process.env.PORT), "0.0.0.0");
