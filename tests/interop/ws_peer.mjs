// Node's ws: usage: node ws_peer.mjs server 0|1, or client 0|1 URI; NODE_PATH has ws.
import { createRequire } from "node:module";

const { WebSocket, WebSocketServer } = createRequire(import.meta.url)(process.env.WS);

const [role, compress, uri] = process.argv.slice(2);
const perMessageDeflate = compress === "1" ? { threshold: 0 } : false;

const messages = [
  "hello",
  "",
  "čeština ✓ ".repeat(100),
  Buffer.from([0]),
  Buffer.alloc(125, "x"),
  Buffer.from(Array.from({ length: 126 }, (_, i) => i)),
  Buffer.from("compressible ".repeat(300)),
  Buffer.from(Array.from({ length: 20000 }, (_, i) => (i * i) % 251)),
];

if (role === "server") {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate });
  server.on("listening", () => console.log("ready", server.address().port));
  server.on("connection", (socket) => {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
} else {
  const socket = new WebSocket(uri, { perMessageDeflate });
  let n = 0;
  const next = () => (n < messages.length ? socket.send(messages[n]) : socket.close(1000));
  socket.on("open", next);
  socket.on("message", (data, binary) => {
    const sent = messages[n++];
    if (binary === (typeof sent === "string") || !Buffer.from(sent).equals(data)) {
      console.error("message", n, "came back as another");
      process.exit(1);
    }
    next();
  });
  socket.on("close", (code) => {
    if (code !== 1000) process.exit(2);
    console.log("ok", socket.extensions);
  });
}
