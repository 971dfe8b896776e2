/** What set-up makes of a node on which everybody may do everything: in its configuration file, and in the daemon that runs. */

/** Who decides about rights from then on. */
export const standardAuthorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'

/** How the Kafka listeners ask for names; those of MQTT ask for user name and password. */
export const setUpMechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
