/** The `kafka` section: judged by the table of Kafka's broker settings, with a hint for a misspelt name. */
import { asError } from './base/errors.ts'
import { BrokerSettings, brokerConfigTable } from './cluster/metadata/broker-config.ts'
import { nearestName } from './config-names.ts'

/** What is wrong with a setting, null when it is right. */
export function kafkaSettingFault(name: string, value: string): string | null {
  try {
    void new BrokerSettings(new Map([[name, value]]))
    return null
  } catch (thrown) {
    const sentence = asError(thrown).message.replace(`kafka.${name}: `, '')
    const nearest = Object.hasOwn(brokerConfigTable, name) ? null : nearestName(name, Object.keys(brokerConfigTable))
    return nearest === null ? sentence : `${sentence}; did you mean ${nearest}?`
  }
}
