import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.Readable;
import org.apache.kafka.common.requests.RequestHeader;

/**
 * Kafka's own reader and writer of messages. Each line of the input is `NAME VERSION HEX`; the answer is one line with the bytes that Kafka
 * writes after reading those, and what it read as JSON, or `ERROR` and a reason. The name `frame` reads a whole request without its length
 * and answers with its header instead.
 */
public class KafkaCodec {
  private static final String[] PACKAGES = {
    "org.apache.kafka.common.message.",
    "org.apache.kafka.common.metadata.",
    "org.apache.kafka.coordinator.group.generated.",
    "org.apache.kafka.server.log.remote.metadata.storage.generated.",
  };

  public static void main(String[] args) throws Exception {
    var input = new BufferedReader(new InputStreamReader(System.in));
    var output = new PrintStream(System.out, false, "UTF-8");
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.split(" ", -1);
      ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(words[2]));
      try {
        output.println(words[0].equals("frame") ? header(bytes) : again(words[0], Short.parseShort(words[1]), bytes));
      } catch (InvocationTargetException thrown) {
        output.println("ERROR " + thrown.getCause());
      } catch (Exception thrown) {
        output.println("ERROR " + thrown);
      }
    }
    output.flush();
  }

  private static String header(ByteBuffer bytes) {
    RequestHeader header = RequestHeader.parse(bytes);
    return String.join(" ", String.valueOf(header.apiKey().id), String.valueOf(header.apiVersion()),
        String.valueOf(header.correlationId()), String.valueOf(header.clientId()), String.valueOf(bytes.remaining()));
  }

  private static String again(String name, short version, ByteBuffer bytes) throws Exception {
    Class<?> type = find(name);
    Message message = (Message) type.getConstructor(Readable.class, short.class)
        .newInstance(new ByteBufferAccessor(bytes), version);
    if (bytes.hasRemaining()) return "ERROR " + bytes.remaining() + " bytes too many";
    var cache = new ObjectSerializationCache();
    ByteBuffer written = ByteBuffer.allocate(message.size(cache, version));
    message.write(new ByteBufferAccessor(written), cache, version);
    JsonNode json = (JsonNode) Class.forName(type.getName() + "JsonConverter")
        .getMethod("write", type, short.class, boolean.class).invoke(null, message, version, false);
    return HexFormat.of().formatHex(written.array()) + " " + json;
  }

  private static Class<?> find(String name) throws ClassNotFoundException {
    boolean isWire = name.endsWith("Request") || name.endsWith("Response");
    for (String each : PACKAGES) {
      try {
        return Class.forName(each + name + (isWire ? "Data" : ""));
      } catch (ClassNotFoundException absent) {
        continue;
      }
    }
    throw new ClassNotFoundException(name);
  }
}
