import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Counts the words of a topic into another one with Kafka Streams, over a repartition and a changelog topic of its own.
 *
 * CountWords BOOTSTRAP FROM TO WORDS STATE-DIRECTORY: ends with 0 once so many words are counted, with 1 after a minute or an error.
 */
public class CountWords {
  public static void main(String[] args) throws Exception {
    CountDownLatch left = new CountDownLatch(Integer.parseInt(args[3]));
    StreamsBuilder builder = new StreamsBuilder();
    var counts = Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"));
    builder
        .<String, String>stream(args[1])
        .flatMapValues(line -> List.of(line.split(" ")))
        .groupBy((key, word) -> word)
        .count(counts.withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
        .toStream()
        .peek((word, count) -> left.countDown())
        .to(args[2], Produced.with(Serdes.String(), Serdes.Long()));
    Properties settings = new Properties();
    settings.putAll(
        Map.of(
            StreamsConfig.APPLICATION_ID_CONFIG, "count-words",
            StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
            StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.String().getClass(),
            StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.String().getClass(),
            StreamsConfig.STATE_DIR_CONFIG, args[4],
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0,
            "auto.offset.reset", "earliest"));
    boolean isDone;
    try (KafkaStreams streams = new KafkaStreams(builder.build(), settings)) {
      streams.setUncaughtExceptionHandler(
          fault -> {
            fault.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
          });
      streams.start();
      isDone = left.await(60, TimeUnit.SECONDS);
      streams.close(Duration.ofSeconds(10));
    }
    System.exit(isDone ? 0 : 1);
  }
}
