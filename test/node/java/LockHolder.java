import java.io.File;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.StandardOpenOption;

/**
 * Takes the lock of a log directory the way Apache Kafka does (org.apache.kafka.server.util.FileLock: FileChannel.tryLock).
 * Says "held <pid>" or "refused"; keeps the lock until its input ends.
 */
public class LockHolder {
    public static void main(String[] arguments) throws Exception {
        FileChannel channel = FileChannel.open(new File(arguments[0]).toPath(), StandardOpenOption.CREATE, StandardOpenOption.READ,
            StandardOpenOption.WRITE);
        FileLock lock = channel.tryLock();
        System.out.println(lock == null ? "refused" : "held " + ProcessHandle.current().pid());
        System.in.read();
    }
}
