/** The operator's HTTP listener of a whole daemon: the names, passwords and entries of every door, tokens, and sessions of browsers. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../interop/case.ts'
import { type RunningHeadwater, sourceCommand, startHeadwater } from '../interop/headwater.ts'
import { runProgram } from './appliance-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-http-'))
const configFile = join(folder, 'headwater.yaml')
const logFile = join(folder, 'log')
const passwordFile = join(folder, 'password')
const password = 'wonderland-7'
let daemon: RunningHeadwater

async function start(): Promise<void> {
  daemon = await startHeadwater({
    dataDir: join(folder, 'data'),
    configFile,
    logFile,
    kafkaPort: null,
    mqttPort: null,
  })
}

function headwater(words: readonly string[], input = '') {
  return runProgram('sh', [...sourceCommand.slice(1), ...words], { input })
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** As a program or a browser would: every header is the test's own. */
function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const [host = '', port = ''] = daemon.http.split(':')
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = options
    const asked = httpRequest({ host, port, path, method, headers }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }))
    })
    asked.once('error', reject)
    asked.end(body)
  })
}

const basic = (user: string, word = password) => ({
  authorization: `Basic ${Buffer.from(`${user}:${word}`).toString('base64')}`,
})
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const json = { 'content-type': 'application/json' }

async function makeToken(wish: object, headers: Record<string, string> = basic('admin')): Promise<Answer> {
  return ask('/api/tokens', { method: 'POST', headers: { ...headers, ...json }, body: JSON.stringify(wish) })
}

const tokenOf = (answer: Answer): string => (JSON.parse(answer.body) as { token: string }).token

beforeAll(async () => {
  const open = '127.0.0.1:0'
  writeFileSync(
    configFile,
    `listeners: { kafka: [{ listen: "${open}" }], mqtt: [{ listen: "${open}" }], http: { hosts: [edge.plant] } }\n`,
  )
  writeFileSync(passwordFile, `${password}\n`)
  await start()
  for (const user of ['watcher', 'nobody']) {
    expect(await headwater(['users', 'set', user, '-b', daemon.kafka], `${password}\n`)).toMatchObject({ code: 0 })
  }
  expect((await ask('/api/status')).status).toBe(200)
  const here = ['-b', daemon.kafka, '--http', daemon.http]
  const setup = await headwater(['setup', '--config', configFile, '--password-file', passwordFile, ...here])
  expect(setup).toMatchObject({ code: 0 })
  await daemon.stop()
  writeFileSync(configFile, `${readFileSync(configFile, 'utf8')}log: { level: debug }\n`)
  await start()
  const asAdmin = ['-b', daemon.kafka, '--user', 'admin', '--password-file', passwordFile]
  expect(await headwater(['role', 'grant', 'viewer', 'watcher', ...asAdmin])).toMatchObject({ code: 0 })
}, 60_000)

afterAll(async () => {
  await daemon.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('after set-up', () => {
  it('health is told to everybody and without reasons, all else to those who say who they are', async () => {
    expect(JSON.parse((await ask('/health/ready')).body)).toEqual({ ready: true })
    expect((await ask('/health/live')).status).toBe(200)
    for (const path of ['/metrics', '/api/status', '/api/mirrors', '/api/tokens']) {
      const answer = await ask(path)
      expect(`${path} ${answer.status}`).toBe(`${path} 401`)
      expect(answer.headers['www-authenticate']).toContain('Basic')
      expect(answer.body).not.toContain('headwater_')
    }
  })

  it.each([
    ['admin', '/api/status', 200],
    ['admin', '/metrics', 200],
    ['admin', '/api/tokens', 200],
    ['watcher', '/api/status', 200],
    ['watcher', '/metrics', 200],
    ['watcher', '/api/tokens', 403],
    ['nobody', '/api/status', 403],
    ['nobody', '/metrics', 403],
  ])('%s asks for %s: %i', async (user, path, status) => {
    expect((await ask(path, { headers: basic(user) })).status).toBe(status)
  })

  it.each([
    ['a wrong password', basic('admin', 'wrong')],
    ['a user that is not there', basic('ghost')],
    ['a name of Object.prototype', basic('__proto__', 'constructor')],
    ['no colon', { authorization: `Basic ${Buffer.from('admin').toString('base64')}` }],
    ['another scheme', { authorization: 'Digest x' }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['a token that never was', bearer(`hw1_${'0'.repeat(16)}_${'0'.repeat(64)}`)],
    ['a cookie of nobody', { cookie: `headwater_session=${'a'.repeat(64)}` }],
  ])('%s is answered 401', async (_, headers) => {
    expect((await ask('/api/status', { headers })).status).toBe(401)
  })

  it('answers hold no page: nothing is run, framed, or kept', async () => {
    const { headers } = await ask('/api/status', { headers: basic('admin') })
    expect(headers).toMatchObject({
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
    })
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })
})

describe('a token', () => {
  it('speaks for its user, with its role at most, until it is revoked, and over a restart', {
    timeout: 60_000,
  }, async () => {
    const viewer = tokenOf(await makeToken({ role: 'viewer', note: 'scraper', days: 1 }))
    const admin = tokenOf(await makeToken({ role: 'admin' }))
    const forNobody = tokenOf(await makeToken({ role: 'admin', principal: 'User:nobody' }))
    const statusOf = async (path: string, token: string) => (await ask(path, { headers: bearer(token) })).status
    expect(await statusOf('/metrics', viewer)).toBe(200)
    expect(await statusOf('/api/tokens', viewer)).toBe(403)
    expect(await statusOf('/api/tokens', admin)).toBe(200)
    // A role gives nothing that the user itself may not.
    expect(await statusOf('/metrics', forNobody)).toBe(403)
    expect(await statusOf('/metrics', `${viewer.slice(0, -1)}${viewer.endsWith('0') ? '1' : '0'}`)).toBe(401)
    await daemon.kill()
    await start()
    expect(await statusOf('/metrics', viewer)).toBe(200)
    const id = viewer.split('_')[1] ?? ''
    expect((await ask(`/api/tokens/${id}`, { method: 'DELETE', headers: bearer(viewer) })).status).toBe(403)
    expect((await ask(`/api/tokens/${id}`, { method: 'DELETE', headers: basic('admin') })).status).toBe(204)
    expect((await ask(`/api/tokens/${id}`, { method: 'DELETE', headers: basic('admin') })).status).toBe(400)
    expect(await statusOf('/metrics', viewer)).toBe(401)
    await daemon.stop()
    await start()
    expect(await statusOf('/metrics', viewer)).toBe(401)
    expect(await statusOf('/metrics', admin)).toBe(200)
    // The secret is nowhere: not in the log of records, not in the audit, not in the log of events.
    const secret = admin.split('_')[2] ?? 'none'
    const files = readdirSync(join(folder, 'data'), { recursive: true, withFileTypes: true }).filter((each) =>
      each.isFile(),
    )
    for (const each of files)
      expect(readFileSync(join(each.parentPath, each.name)).includes(secret), each.name).toBe(false)
    expect(readFileSync(logFile, 'utf8')).not.toContain(secret)
    const listed = await ask('/api/tokens', { headers: basic('admin') })
    expect(listed.body).not.toContain(secret)
    expect(listed.body).not.toContain('digest')
  })

  it.each([
    ['no role', {}],
    ['a role that there is not', { role: 'king' }],
    ['the role of a device', { role: 'device' }],
    ['no time to live', { role: 'viewer', days: 0 }],
    ['more than five years', { role: 'viewer', days: 2_000 }],
    ['a key that there is not', { role: 'viewer', scope: 'all' }],
    ['no principal', { role: 'viewer', principal: 'nobody' }],
    ['a list', []],
  ])('is refused with %s', async (_, wish) => {
    expect(await makeToken(wish)).toMatchObject({ status: 400, body: expect.stringContaining('HTTP_MALFORMED') })
  })

  it('is not made from a body that is no JSON, too large, or of a name of Object.prototype', async () => {
    const post = (body: string, headers = json) =>
      ask('/api/tokens', { method: 'POST', headers: { ...basic('admin'), ...headers }, body })
    expect((await post('{')).status).toBe(400)
    expect((await post('{"__proto__":{"role":"admin"}}')).status).toBe(400)
    expect((await post(`{"note":"${'x'.repeat(20_000)}"}`)).status).toBe(413)
    expect((await post('role=admin', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415)
    expect((await ask('/api/tokens', { headers: basic('admin') })).status).toBe(200)
  })

  it('is made, listed, used and revoked by the command', { timeout: 60_000 }, async () => {
    const http = ['--http', daemon.http]
    const asAdmin = [...http, '--user', 'admin', '--password-file', passwordFile]
    const made = await headwater(['token', 'create', 'viewer', '--days', '2', '--note', 'prometheus', ...asAdmin])
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hw1_[0-9a-f]{16}_[0-9a-f]{64}\n$/) })
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, made.stdout)
    expect(await headwater(['status', ...http, '--token-file', tokenFile])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/cluster id/),
    })
    expect(await headwater(['status', ...asAdmin])).toMatchObject({ code: 0 })
    expect(await headwater(['status', ...http])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/who they are/),
    })
    expect((await headwater(['token', 'list', ...asAdmin])).stdout).toMatch(/viewer .*prometheus/)
    const id = made.stdout.split('_')[1] ?? ''
    expect(await headwater(['token', 'revoke', id, ...asAdmin])).toMatchObject({ code: 0 })
    expect(await headwater(['status', ...http, '--token-file', tokenFile])).toMatchObject({ code: 1 })
    expect(await headwater(['token', 'revoke', id, ...asAdmin])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no such token/),
    })
  })
})

describe('a session of a browser', () => {
  async function begin(user = 'admin'): Promise<Answer & { readonly cookie: string }> {
    const answer = await ask('/api/session', { method: 'POST', headers: basic(user) })
    const [cookie = ''] = String(answer.headers['set-cookie']).split(';')
    return { ...answer, cookie }
  }

  it('is a cookie that no script reads and no other site sends, until it is ended', async () => {
    const { status, headers, cookie } = await begin()
    expect(status).toBe(201)
    expect(String(headers['set-cookie'])).toMatch(/; Path=\/; HttpOnly; SameSite=Strict$/)
    expect((await ask('/api/status', { headers: { cookie } })).status).toBe(200)
    expect(
      (await ask('/api/session', { method: 'DELETE', headers: { cookie, 'x-headwater-request': '1' } })).status,
    ).toBe(204)
    expect((await ask('/api/status', { headers: { cookie } })).status).toBe(401)
    expect((await ask('/api/session', { method: 'POST' })).status).toBe(401)
  })

  it('changes nothing for a page of somebody else', async () => {
    const { cookie } = await begin()
    const change = (headers: Record<string, string>) =>
      ask('/api/tokens', { method: 'POST', headers: { ...json, ...headers }, body: '{"role":"viewer"}' })
    const own = { cookie, 'x-headwater-request': '1' }
    expect((await change({ cookie })).status).toBe(403)
    expect((await change({ ...own, origin: 'https://evil.example' })).status).toBe(403)
    expect((await change({ ...own, origin: 'null' })).status).toBe(403)
    expect((await change({ ...own, 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    // Browsers send a Basic password that they know to whoever makes them.
    expect((await change({ ...basic('admin'), origin: 'https://evil.example' })).status).toBe(403)
    expect((await change({ ...own, origin: `http://${daemon.http}` })).status).toBe(201)
    expect((await change(own)).status).toBe(201)
  })

  it('is begun by a password or a token, and by no other session: it would never be over', async () => {
    const { cookie } = await begin()
    const again = await ask('/api/session', { method: 'POST', headers: { cookie, 'x-headwater-request': '1' } })
    expect(again).toMatchObject({
      status: 401,
      headers: expect.not.objectContaining({ 'set-cookie': expect.anything() }),
    })
    expect((await ask('/api/status', { headers: { cookie } })).status).toBe(200)
  })

  it('ends with the token it was begun by', async () => {
    const token = tokenOf(await makeToken({ role: 'viewer' }))
    const answer = await ask('/api/session', { method: 'POST', headers: bearer(token) })
    expect(JSON.parse(answer.body)).toEqual({ principal: 'User:admin', role: 'viewer' })
    const [cookie = ''] = String(answer.headers['set-cookie']).split(';')
    expect((await ask('/api/status', { headers: { cookie } })).status).toBe(200)
    expect((await ask('/api/tokens', { headers: { cookie } })).status).toBe(403)
    const revoked = await ask(`/api/tokens/${token.split('_')[1]}`, { method: 'DELETE', headers: basic('admin') })
    expect(revoked.status).toBe(204)
    expect((await ask('/api/status', { headers: { cookie } })).status).toBe(401)
  })

  it('ends with the password it was begun by', async () => {
    const { cookie } = await begin('watcher')
    expect((await ask('/api/status', { headers: { cookie } })).status).toBe(200)
    const asAdmin = ['-b', daemon.kafka, '--user', 'admin', '--password-file', passwordFile]
    expect(await headwater(['users', 'set', 'watcher', ...asAdmin], 'another-password\n')).toMatchObject({ code: 0 })
    expect((await ask('/api/status', { headers: { cookie } })).status).toBe(401)
    expect(await headwater(['users', 'set', 'watcher', ...asAdmin], `${password}\n`)).toMatchObject({ code: 0 })
  })
})

describe('a name that somebody has pointed at this machine', () => {
  it.each([
    ['evil.example', 421],
    ['evil.example:9640', 421],
    ['localhost:1', 200],
    ['127.0.0.1', 200],
    ['[::1]:9640', 200],
    ['edge.plant', 200],
    ['127.0.0.1.evil.example', 421],
  ])('%s is answered %i', async (host, status) => {
    expect((await ask('/health/live', { headers: { host } })).status).toBe(status)
  })
})

describe('the audit', () => {
  it('tells of tokens, of who was denied and of who came in', async () => {
    await ask('/api/tokens', { headers: basic('nobody') })
    const audit = () =>
      readdirSync(join(folder, 'data', 'state', 'audit'))
        .map((name) => readFileSync(join(folder, 'data', 'state', 'audit', name), 'utf8'))
        .join('')
    await until(
      () => audit().includes('"principal":"User:nobody","client":"127.0.0.1","operation":"alter"'),
      10_000,
      'the denial',
    )
    expect(audit()).toContain('headwater.token.created')
    expect(audit()).toContain('headwater.token.revoked')
    expect(audit()).toContain('"mechanism":"access-token"')
    expect(audit()).not.toContain(password)
  })
})

describe('guesses', () => {
  it('at HTTP, Kafka and MQTT are counted together, and lock out at last', { timeout: 60_000 }, async () => {
    for (let guess = 0; guess < 10; guess++) await ask('/api/status', { headers: basic('nobody', `guess-${guess}`) })
    expect((await ask('/api/status', { headers: basic('nobody') })).status).toBe(401)
    const asNobody = ['-b', daemon.kafka, '--user', 'nobody', '--password-file', passwordFile]
    expect(await headwater(['topics', 'list', ...asNobody])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/does not let in/),
    })
    expect((await ask('/api/status', { headers: basic('admin') })).status).toBe(200)
  })
})
