/** Run by file-lock.test.ts: takes a lock as a process of its own, says so, and keeps it until its input ends. */
import { AddOn } from '../../src/node/add-on.ts'
import { FileLocks } from '../../src/node/file-lock.ts'
import { testObserver } from './test-observer.ts'

const [file, without] = process.argv.slice(2)
const locks = new FileLocks(new AddOn({ without: without === 'without' }), testObserver())
const outcome = locks.lock(file ?? '')
process.stdout.write(outcome.held ? 'held\n' : `refused by ${outcome.holder}\n`)
process.stdin.once('data', () => process.stdin.destroy())
process.stdin.once('end', () => process.stdin.destroy())
