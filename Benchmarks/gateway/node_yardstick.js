// The yardstick: the least that a Node server must do to answer what the gateway answers. Bodies lie in memory, heads are
// those of the gateway. Usage: node node_yardstick.js BODIES.json, a map from path to {type, file}. Prints its port.
const fs = require('fs');
const http = require('http');

const answers = new Map();
for (const [path, { type, file }] of Object.entries(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')))) {
  answers.set(path, { type, body: fs.readFileSync(file) });
}

const server = http.createServer((request, response) => {
  const answer = answers.get(request.url);
  if (!answer) {
    response.statusCode = 404;
    response.end('Not Found');
    return;
  }
  response.setHeader('Vary', 'Origin, Accept-Encoding');
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Content-Type', answer.type);
  response.setHeader('Content-Length', answer.body.length);
  response.end(answer.body);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
