import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.ByteBufferOutputStream;

/**
 * Compressed bytes as Apache Kafka's own client makes and reads them.
 *
 *   java -cp '<libs>/*' KafkaSamples.java write           prints test/node/kafka-samples.json
 *   java -cp '<libs>/*' KafkaSamples.java check CODEC     reads base64 from standard input, says what it holds
 */
public class KafkaSamples {
    static byte[] content(int lines) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < lines; i++)
            text.append("{\"sensor\":\"boiler-").append(i % 7).append("\",\"reading\":").append(i * i % 1009).append("}\n");
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("check")) check(arguments[1]);
        else write();
    }

    static void write() throws Exception {
        System.out.println("{");
        String separator = "";
        for (CompressionType type : CompressionType.values()) {
            if (type == CompressionType.NONE) continue;
            for (int lines : new int[] {0, 1, 3000}) {
                ByteBufferOutputStream buffer = new ByteBufferOutputStream(64);
                try (OutputStream out = Compression.of(type).build().wrapForOutput(buffer, (byte) 2)) {
                    out.write(content(lines));
                }
                buffer.buffer().flip();
                byte[] bytes = new byte[buffer.buffer().remaining()];
                buffer.buffer().get(bytes);
                System.out.print(separator + "  \"" + type.name + " " + lines + "\": \"" + Base64.getEncoder().encodeToString(bytes) + "\"");
                separator = ",\n";
            }
        }
        System.out.println("\n}");
    }

    static void check(String codec) throws Exception {
        byte[] bytes = Base64.getMimeDecoder().decode(System.in.readAllBytes());
        InputStream in = Compression.of(CompressionType.forName(codec)).build()
            .wrapForInput(ByteBuffer.wrap(bytes), (byte) 2, BufferSupplier.NO_CACHING);
        byte[] found = in.readAllBytes();
        for (int lines : new int[] {0, 1, 3000})
            if (Arrays.equals(found, content(lines))) System.out.println(codec + " holds " + lines + " lines");
    }
}
