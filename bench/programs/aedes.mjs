/**
 * aedes in memory, as it comes: `node aedes.mjs [CERTIFICATE KEY]` serves MQTT over TCP, or over WSS when it is given PEM files, on a free port of
 * 127.0.0.1, and prints that port.
 */
import { readFileSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import { createWebSocketStream, WebSocketServer } from 'ws'

const [certificate, key] = process.argv.slice(2)
const broker = await Aedes.createBroker()
let server
if (certificate === undefined || key === undefined) {
  server = createServer({ noDelay: true }, broker.handle)
} else {
  server = createHttpsServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  const upgrades = new WebSocketServer({ server, perMessageDeflate: false, handleProtocols: () => 'mqtt' })
  upgrades.on('connection', (socket, request) => void broker.handle(createWebSocketStream(socket), request))
}
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.once('SIGTERM', () => process.exit(0))
