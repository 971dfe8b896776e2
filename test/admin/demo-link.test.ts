/** The demo's link: carries both ways, breaks at once, carries again. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { DemoLink } from '../../src/admin/demo/demo-link.ts'

let echo: Server
let link: DemoLink

afterEach(async () => {
  await link.close()
  echo.close()
})

async function joined(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

describe('the demo link', () => {
  it('carries both ways until it is cut, refuses while it is cut, and carries again', async () => {
    echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket))
    echo.listen(0, '127.0.0.1')
    await once(echo, 'listening')
    link = new DemoLink()
    link.connectTo(`127.0.0.1:${(echo.address() as AddressInfo).port}`)
    const port = Number((await link.listen()).split(':')[1])
    const first = await joined(port)
    first.write('hello')
    const [answer] = (await once(first, 'data')) as [Buffer]
    expect(answer.toString()).toBe('hello')
    const broken = once(first, 'error')
    link.cut()
    expect(await broken).toMatchObject([{ code: 'ECONNRESET' }])
    expect(link.isCut).toBe(true)
    const refused = connect(port, '127.0.0.1')
    expect(await once(refused, 'error')).toMatchObject([{ code: 'ECONNRESET' }])
    link.heal()
    const second = connect(port, '127.0.0.1')
    second.write('again')
    const [again] = (await once(second, 'data')) as [Buffer]
    expect(again.toString()).toBe('again')
    second.destroy()
  })
})
