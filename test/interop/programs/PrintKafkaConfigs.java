import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.storage.internals.log.LogConfig;

/** Prints Apache Kafka's topic and broker settings: kind, name, type, default; and which broker settings stand for a topic's. */
public class PrintKafkaConfigs {
  public static void main(String[] arguments) throws Exception {
    var topic = LogConfig.class.getDeclaredField("CONFIG");
    topic.setAccessible(true);
    print("topic", (ConfigDef) topic.get(null));
    print("broker", AbstractKafkaConfig.CONFIG_DEF);
    new TreeMap<>(ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS).forEach(
        (name, synonyms) -> System.out.println("synonym " + name + " " + synonyms.get(0).name()));
  }

  static void print(String kind, ConfigDef definition) {
    new TreeMap<>(definition.configKeys()).forEach((name, key) -> {
      String value = key.hasDefault() ? ConfigDef.convertToString(key.defaultValue, key.type) : null;
      System.out.println(kind + " " + name + " " + key.type.name().toLowerCase() + " " + value);
    });
  }
}
