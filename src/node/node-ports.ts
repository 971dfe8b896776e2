/** The six ports on the operating system: made once by `main.ts`, closed last. */
import fs from 'node:fs'
import type { Observer, Ports } from '../base/ports.ts'
import { AddOn } from './add-on.ts'
import { NodeClock } from './clock.ts'
import { nodeCompute } from './compute.ts'
import { NodeDisk } from './disk.ts'
import { NodeEntropy } from './entropy.ts'
import { NodeNet } from './net.ts'
import { nodeEvents } from './node-events.ts'

export interface NodePortsOptions {
  readonly observer: Observer
  /** Descriptors of data files; `dataDescriptorsByLimit` when omitted. */
  readonly dataDescriptorsMax?: number
  /** Memory between the loop and the writer thread, a power of two; 8 MiB when omitted. */
  readonly writerRingBytes?: number
  /** Read sockets by events only (see NodeNetOptions). */
  readonly readByEvents?: boolean
  /** Do without the native add-on, as on a machine it was not built for. */
  readonly withoutAddOn?: boolean
  /** The writer thread has ended by itself: the process should stop, because nothing can be acknowledged. */
  readonly onWriterLost?: (error: Error) => void
}

export interface NodePorts extends Ports {
  readonly disk: NodeDisk
  readonly clock: NodeClock
  readonly net: NodeNet
  readonly addOn: AddOn
  /** Closes listeners, connections and timers, waits for the disk, ends the writer thread: then the loop drains by itself. */
  close(): Promise<void>
}

/** Half of a hard limit of 1,024 leaves 500 for connections; 15,904 (of 20,000) let 10,000 partitions be written to without a file being opened. */
const dataDescriptorsCeiling = 24_576
/** What is left for connections and all else is enough: of a high limit more than the half is for data files. */
const otherDescriptorsEnough = 4_096
const dataDescriptorsFloor = 16

/** Frames and batches of a usual size stay below: the C library keeps memory for those. */
const returnedBytesMin = 1024 * 1024

export function nodePorts(options: NodePortsOptions): NodePorts {
  const { observer } = options
  const addOn = new AddOn({ without: options.withoutAddOn ?? false })
  addOn.returnLarge(returnedBytesMin)
  if (addOn.missingBecause !== null) observer.event(nodeEvents.addOnMissing, { reason: addOn.missingBecause })
  const clock = new NodeClock()
  const disk = new NodeDisk({
    observer,
    addOn,
    dataDescriptorsMax: options.dataDescriptorsMax ?? dataDescriptorsByLimit(openFilesLimit()),
    ...(options.writerRingBytes === undefined ? {} : { ringBytes: options.writerRingBytes }),
    ...(options.onWriterLost === undefined ? {} : { onWriterLost: options.onWriterLost }),
  })
  const net = new NodeNet({ observer, readByEvents: options.readByEvents ?? false, addOn })
  return {
    clock,
    entropy: new NodeEntropy(),
    disk,
    net,
    compute: nodeCompute(),
    observer,
    addOn,
    close: async () => {
      await net.close()
      clock.close()
      await disk.close()
    },
  }
}

/** How many descriptors the data files may take of what the process may open. */
export function dataDescriptorsByLimit(openFilesMax: number): number {
  const share = Math.max(Math.floor(openFilesMax / 2), openFilesMax - otherDescriptorsEnough)
  return Math.max(dataDescriptorsFloor, Math.min(dataDescriptorsCeiling, share))
}

/** The hard limit of open files; Node raises the soft one to it at its start. */
export function openFilesLimit(): number {
  try {
    const line = /^Max open files\s+\S+\s+(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))
    return line?.[1] === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(line?.[1] ?? 1024)
  } catch {
    return 1024
  }
}
