import { defineErrors } from '../../base/errors.ts'

/** Failures of the MQTT door that an operator sees. */
export const mqttErrors = defineErrors({
  invalidRoute: {
    code: 'MQTT_ROUTE_INVALID',
    sentence: 'MQTT route {position} ("{match}") is not usable: {reason}',
    remedy: 'Correct the route in `mqtt.routes`.',
    retriable: false,
  },
  invalidSchema: {
    code: 'MQTT_SCHEMA_INVALID',
    sentence: 'the schema {file} of MQTT route {position} ("{match}") is not usable: {reason}',
    remedy: 'Correct the schema, or the route in `mqtt.routes`.',
    retriable: false,
  },
  invalidCommandRoute: {
    code: 'MQTT_COMMAND_ROUTE_INVALID',
    sentence: 'MQTT command route {position} ("{name}") is not usable: {reason}',
    remedy: 'Correct the route in `mqtt.commandRoutes`.',
    retriable: false,
  },
})
