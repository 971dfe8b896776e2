import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

/** Prints batches as Apache Kafka's producers build them: codec, number of records, bytes. */
public class PrintKafkaBatches {
  public static void main(String[] arguments) {
    for (var type : CompressionType.values()) {
      for (int count : new int[] {1, 3, 200}) {
        var records = new SimpleRecord[count];
        for (int index = 0; index < count; index++) {
          var headers = index % 3 == 1 ? new Header[] {new RecordHeader("unit", bytes("°C")), new RecordHeader("none", (byte[]) null)} : new Header[0];
          var key = index % 5 == 4 ? null : bytes("sensor-" + index % 7);
          var value = index % 11 == 10 ? null : bytes("{\"reading\":" + index * 37 % 101 + "}");
          records[index] = new SimpleRecord(1_700_000_000_000L + index * 250L - index % 2 * 9000L, key, value, headers);
        }
        ByteBuffer buffer = MemoryRecords.withRecords(Compression.of(type).build(), records).buffer();
        var copy = new byte[buffer.remaining()];
        buffer.get(copy);
        System.out.println(type.name + " " + count + " " + HexFormat.of().formatHex(copy));
      }
    }
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
