/** The `kerberos` section of the configuration: as whom this node is known to the clients of SASL/GSSAPI. */
import { z } from 'zod'

const rulesName = 'sasl.kerberos.principal.to.local.rules'

export const kerberos = z
  .strictObject({
    keytab: z.string().min(1).describe("File with the service's key (keytab), readable by the daemon alone."),
    principal: z
      .string()
      .regex(/^[^\s/@\\]+\/[^\s/@\\]+@[^\s/@\\]+$/, 'a service is written kafka/HOST@REALM')
      .describe('Kerberos principal of the service: `kafka/HOST@REALM`, with the host that clients connect to.'),
  })
  .nullable()
  .prefault(null)

interface Written {
  readonly listeners: Readonly<Record<'kafka' | 'mqtt', readonly { readonly saslMechanisms: readonly string[] }[]>>
  readonly kafka: unknown
  readonly kerberos: z.infer<typeof kerberos>
}

/** GSSAPI needs a key; and what nobody reads is a mistake. */
export function judgeKerberos({ listeners, kafka, kerberos: section }: Written, context: z.RefinementCtx): void {
  const issue = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message })
  const offering = [...listeners.kafka, ...listeners.mqtt]
  const isOffered = offering.some(({ saslMechanisms }) => saslMechanisms.includes('GSSAPI'))
  if (isOffered && section === null) issue(['kerberos'], 'a listener offers GSSAPI: say which service this is')
  if (isOffered) return
  const idle = 'means nothing while no listener offers GSSAPI'
  if (section !== null) issue(['kerberos'], idle)
  if (kafka instanceof Map && kafka.has(rulesName)) issue(['kafka', rulesName], idle)
}
