import { expect, it } from 'vitest'
import { split } from '../../../src/ingest/kafka/guards/guard.ts'

it('a list of names is judged with one question for each, so that a refusal is told once', () => {
  const asked: string[] = []
  const judge = (name: string): boolean => {
    asked.push(name)
    return name === 'mine'
  }
  expect(split(['theirs', 'mine', 'theirs'], judge)).toEqual({ allowed: ['mine'], denied: ['theirs', 'theirs'] })
  expect(asked).toEqual(['theirs', 'mine', 'theirs'])
})
