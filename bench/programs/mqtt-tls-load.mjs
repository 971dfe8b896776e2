/**
 * MQTT QoS 1 over TLS or WSS: pieces of 100 PUBLISHes made beforehand, of which each connection has one under way, so that it costs less than a server.
 *
 *   mqtt-tls-load.mjs tls|wss HOST PORT CONNECTIONS PAYLOAD_BYTES MESSAGES
 *
 * Over WSS a piece is one frame with a mask of zeros. Prints one JSON line, as mqtt-load does.
 */
import { connect } from 'node:tls'

const perPiece = 100
const [mode, host, port, connections, payloadBytes, messages] = process.argv.slice(2)
const piecesEach = Math.max(1, Math.round(Number(messages) / Number(connections) / perPiece))

function connectPacket(clientId) {
  const id = Buffer.from(clientId)
  return Buffer.concat([Buffer.from([0x10, 12 + id.length, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, id.length]), id])
}

function publishPacket(topic, packetId) {
  const name = Buffer.from(topic)
  const remaining = 4 + name.length + Number(payloadBytes)
  const length = remaining < 128 ? [remaining] : [(remaining % 128) | 128, remaining >> 7]
  const head = Buffer.from([0x32, ...length, 0, name.length])
  return Buffer.concat([head, name, Buffer.from([0, packetId]), Buffer.alloc(Number(payloadBytes), 'x')])
}

/** A binary frame as a client sends it (RFC 6455, 5.2). */
function frame(bytes) {
  const length =
    bytes.length < 126
      ? [bytes.length | 128]
      : bytes.length < 65_536
        ? [126 | 128, bytes.length >> 8, bytes.length & 255]
        : [127 | 128, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >>> shift) & 255)]
  return Buffer.concat([Buffer.from([0x82, ...length, 0, 0, 0, 0]), bytes])
}

const wrap = mode === 'wss' ? frame : (bytes) => bytes

/** Counts the MQTT bytes in what a server sends; null = the answer to the upgrade has not ended. */
class Counter {
  #left = mode === 'wss' ? -1 : Number.POSITIVE_INFINITY
  #carry = Buffer.alloc(0)

  count(bytes) {
    if (mode !== 'wss') return bytes.length
    let rest = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes])
    let counted = 0
    for (;;) {
      const taken = Math.min(Math.max(0, this.#left), rest.length)
      counted += taken
      this.#left -= taken
      rest = rest.subarray(taken)
      if (this.#left > 0) break
      if (rest.length < 2) break
      const short = rest[1] & 127
      const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10
      if (rest.length < headBytes) break
      this.#left = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
      rest = rest.subarray(headBytes)
    }
    this.#carry = Buffer.from(rest)
    return counted
  }
}

/** Opens a connection; answers a function that sends all its pieces. */
async function open(index) {
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: [] })
  let received = 0
  let wanted = 0
  let resolve = () => {}
  let counter = null
  socket.on('error', (error) => {
    throw error
  })
  socket.on('data', (bytes) => {
    if (counter === null) return resolve(bytes)
    received += counter.count(bytes)
    if (received >= wanted) resolve(bytes)
  })
  const ask = (bytes, answerBytes) => {
    received = 0
    wanted = answerBytes
    const answer = new Promise((done) => {
      resolve = done
    })
    socket.write(bytes)
    return answer
  }
  await new Promise((done) => socket.once('secureConnect', done))
  if (mode === 'wss') {
    const head = ['GET /mqtt HTTP/1.1', `Host: ${host}:${port}`, 'Connection: Upgrade', 'Upgrade: websocket']
    const key = ['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${Buffer.alloc(16, index).toString('base64')}`]
    const answer = await ask([...head, ...key, 'Sec-WebSocket-Protocol: mqtt', '', ''].join('\r\n'), 1)
    if (!String(answer).startsWith('HTTP/1.1 101')) throw new Error(`the upgrade was answered with ${answer}`)
  }
  counter = new Counter()
  await ask(wrap(connectPacket(`load-${index}`)), 4)
  const packets = Array.from({ length: perPiece }, (_, at) => publishPacket(`sensors/d${index}/temperature`, at + 1))
  const piece = wrap(Buffer.concat(packets))
  return async () => {
    for (let sent = 0; sent < piecesEach; sent++) await ask(piece, perPiece * 4)
    socket.destroy()
  }
}

const senders = await Promise.all(Array.from({ length: Number(connections) }, (_, index) => open(index)))
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
await Promise.all(senders.map((send) => send()))
const seconds = (performance.now() - startedAt) / 1000
const { user, system } = process.cpuUsage(cpuBefore)
const count = piecesEach * perPiece * Number(connections)
const generatorCpu = (user + system) / 1e6 / seconds
console.log(JSON.stringify({ messages: count, seconds, perSecond: count / seconds, generatorCpu }))
