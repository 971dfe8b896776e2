/** Errors of the command line. */
import { defineErrors } from '../../base/errors.ts'

export const cliErrors = defineErrors({
  fileUnreadable: {
    code: 'CLI_FILE_UNREADABLE',
    sentence: 'cannot read {file}: {detail}',
    remedy: 'Name a file that exists and may be read.',
    retriable: false,
  },
  outputFailed: {
    code: 'CLI_OUTPUT_FAILED',
    sentence: 'standard output takes no more: {detail}',
    remedy: 'What was printed is not whole: make room, or send it somewhere else, and run the command again.',
    retriable: false,
  },
  daemonUnreachable: {
    code: 'CLI_DAEMON_UNREACHABLE',
    sentence: '{address} gives no answer: {detail}',
    remedy: 'Start the daemon, or name its HTTP listener with --http HOST:PORT.',
    retriable: true,
  },
  httpRefused: {
    code: 'CLI_HTTP_REFUSED',
    sentence: '{address}: {detail}',
    remedy: '{remedy} See --user, --password-file and --token-file.',
    retriable: false,
  },
  auditMissing: {
    code: 'CLI_AUDIT_MISSING',
    sentence: 'there is no audit in {place}',
    remedy:
      'It is kept from the first start on in which clients have names (`audit.keep`). Name the data directory by --data-dir.',
    retriable: false,
  },
  fileUnknown: {
    code: 'CLI_FILE_UNKNOWN',
    sentence: '{file} is none of the files that can be shown',
    remedy: 'Name .log, .index or .timeindex files, or the folder of a partition.',
    retriable: false,
  },
  kafkaUnreachable: {
    code: 'CLI_KAFKA_UNREACHABLE',
    sentence: 'no broker answers at {addresses}: {detail}',
    remedy: 'Start the daemon, or name a Kafka listener with --bootstrap-server HOST:PORT.',
    retriable: true,
  },
  kafkaClosed: {
    code: 'CLI_KAFKA_CLOSED',
    sentence: 'a request has no answer: {detail}',
    remedy:
      'A listener that asks for names closes one that gives none: name a --user, or a file by --command-config. Otherwise try again.',
    retriable: true,
  },
  kafkaRefused: {
    code: 'CLI_KAFKA_REFUSED',
    sentence: '{request} was answered with {error}: {sentence}',
    remedy: "The error's name is Kafka's own; its documentation says more.",
    retriable: false,
  },
  passwordNeeded: {
    code: 'CLI_PASSWORD_NEEDED',
    sentence: 'there is no password for {what}',
    remedy:
      'Name a file that holds it (--password-file FILE, `-` is standard input), or run the command on a terminal.',
    retriable: false,
  },
  loginRefused: {
    code: 'CLI_LOGIN_REFUSED',
    sentence: 'the broker does not let in {user}: {detail}',
    remedy:
      'Look at the name, the password and --sasl-mechanism; `headwater users list` tells which mechanisms a user has.',
    retriable: false,
  },
  setupImpossible: {
    code: 'CLI_SETUP_IMPOSSIBLE',
    sentence: 'set-up cannot go on: {detail}',
    remedy: '{remedy}.',
    retriable: false,
  },
  setupNotInForce: {
    code: 'CLI_SETUP_NOT_IN_FORCE',
    sentence:
      '{file} is set up, but the daemon that runs was not told of it, and clients without a name may still do everything: {detail}',
    remedy: 'Restart the daemon, or run this again with the address of its HTTP listener (--http HOST:PORT).',
    retriable: false,
  },
  valueInvalid: {
    code: 'CLI_VALUE_INVALID',
    sentence: '{name}: {detail}',
    remedy: 'See `--help` behind the command.',
    retriable: false,
  },
  exportPathUnusable: {
    code: 'EXPORT_PATH_UNUSABLE',
    sentence: 'Apache Kafka cannot open {path}: its log.dirs is a list, in which a comma separates directories.',
    remedy: 'Rename the data directory, or reach it by a symbolic link without a comma in its name.',
    retriable: false,
  },
})
