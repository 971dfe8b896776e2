import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.metrics.internals.PluginMetricsImpl;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.metadata.authorizer.StandardAcl;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;

/**
 * Asks Apache Kafka's StandardAuthorizer. Lines with tabs on standard input: `set ALLOW SUPER_USERS` begins a set of entries, `acl` adds one
 * (Kafka's numbers), `ask` and `some` are answered with a line each, 1 or 0.
 */
public class JudgeAcls {
  public static void main(String[] arguments) throws Exception {
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    StringBuilder output = new StringBuilder();
    Map<Uuid, StandardAcl> entries = new HashMap<>();
    StandardAuthorizer authorizer = null;
    String[] set = null;
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.split("\t", -1);
      if (words[0].equals("set")) {
        set = words;
        authorizer = null;
        entries = new HashMap<>();
      } else if (words[0].equals("acl")) {
        entries.put(Uuid.randomUuid(), new StandardAcl(
            ResourceType.fromCode(code(words[1])), words[2], PatternType.fromCode(code(words[3])), words[4], words[5],
            AclOperation.fromCode(code(words[6])), AclPermissionType.fromCode(code(words[7]))));
      } else {
        if (authorizer == null) authorizer = open(set, entries);
        AclOperation operation = AclOperation.fromCode(code(words[3]));
        ResourceType type = ResourceType.fromCode(code(words[4]));
        AuthorizationResult result = words[0].equals("some")
            ? authorizer.authorizeByResourceType(context(words[1], words[2]), operation, type)
            : authorizer.authorize(context(words[1], words[2]), List.of(new Action(
                operation, new ResourcePattern(type, words[5], PatternType.LITERAL), 1, false, false))).get(0);
        output.append(result == AuthorizationResult.ALLOWED ? "1\n" : "0\n");
      }
    }
    System.out.print(output);
  }

  static byte code(String text) {
    return Byte.parseByte(text);
  }

  static StandardAuthorizer open(String[] set, Map<Uuid, StandardAcl> entries) {
    StandardAuthorizer authorizer = new StandardAuthorizer();
    authorizer.withPluginMetrics(new PluginMetricsImpl(new Metrics(), Map.of()));
    authorizer.configure(Map.of("node.id", "1", "allow.everyone.if.no.acl.found", set[1], "super.users", set[2]));
    authorizer.loadSnapshot(entries);
    authorizer.completeInitialLoad();
    return authorizer;
  }

  static AuthorizableRequestContext context(String principal, String host) throws Exception {
    KafkaPrincipal who = new KafkaPrincipal(KafkaPrincipal.USER_TYPE, principal.substring("User:".length()));
    InetAddress address = InetAddress.getByName(host);
    return new AuthorizableRequestContext() {
      public String listenerName() { return "L"; }
      public SecurityProtocol securityProtocol() { return SecurityProtocol.PLAINTEXT; }
      public KafkaPrincipal principal() { return who; }
      public InetAddress clientAddress() { return address; }
      public int requestType() { return 0; }
      public int requestVersion() { return 0; }
      public String clientId() { return ""; }
      public int correlationId() { return 0; }
    };
  }
}
