/**
 * Prints payloads of Sparkplug B as Eclipse Tahu makes them, a line each: NAME HEX. They stand in test/golden/sparkplug-payloads.txt.
 *
 *   java -cp 'LIBS/*' PrintSparkplugPayloads.java        with tahu-core 1.0.14 and what it needs
 */
import java.math.BigInteger;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import org.eclipse.tahu.message.SparkplugBPayloadEncoder;
import org.eclipse.tahu.message.model.DataSet.DataSetBuilder;
import org.eclipse.tahu.message.model.DataSetDataType;
import org.eclipse.tahu.message.model.File;
import org.eclipse.tahu.message.model.MetaData.MetaDataBuilder;
import org.eclipse.tahu.message.model.Metric;
import org.eclipse.tahu.message.model.Metric.MetricBuilder;
import org.eclipse.tahu.message.model.MetricDataType;
import org.eclipse.tahu.message.model.Parameter;
import org.eclipse.tahu.message.model.ParameterDataType;
import org.eclipse.tahu.message.model.PropertyDataType;
import org.eclipse.tahu.message.model.PropertySet.PropertySetBuilder;
import org.eclipse.tahu.message.model.PropertyValue;
import org.eclipse.tahu.message.model.Row;
import org.eclipse.tahu.message.model.SparkplugBPayload.SparkplugBPayloadBuilder;
import org.eclipse.tahu.message.model.Template.TemplateBuilder;
import org.eclipse.tahu.message.model.Value;

public class PrintSparkplugPayloads {
  private static final Date when = new Date(1700000000000L);

  private static Metric named(String name, long alias, MetricDataType type, Object value) throws Exception {
    return new MetricBuilder(name, type, value).alias(alias).timestamp(when).createMetric();
  }

  private static Metric aliased(long alias, MetricDataType type, Object value) throws Exception {
    return new MetricBuilder(alias, type, value).timestamp(when).createMetric();
  }

  private static void print(String name, Long seq, boolean stripsTypes, Metric... metrics) throws Exception {
    SparkplugBPayloadBuilder builder = seq == null ? new SparkplugBPayloadBuilder() : new SparkplugBPayloadBuilder(seq);
    builder.setTimestamp(when).addMetrics(List.of(metrics));
    byte[] bytes = new SparkplugBPayloadEncoder().getBytes(builder.createPayload(), stripsTypes);
    System.out.println(name + " " + HexFormat.of().formatHex(bytes));
  }

  public static void main(String[] words) throws Exception {
    BigInteger largest = BigInteger.ONE.shiftLeft(64).subtract(BigInteger.ONE);
    print("tahu-nbirth", 0L, false,
        new MetricBuilder("bdSeq", MetricDataType.Int64, 7L).timestamp(when).createMetric(),
        new MetricBuilder("Node Control/Rebirth", MetricDataType.Boolean, false).timestamp(when).createMetric(),
        named("Motor", 1, MetricDataType.Template, new TemplateBuilder().definition(true).version("v1")
            .addMetric(new MetricBuilder("Torque", MetricDataType.Int32, 0).timestamp(when).createMetric())
            .addParameter(new Parameter("Maker", ParameterDataType.String, "nobody")).createTemplate()),
        named("Int8", 2, MetricDataType.Int8, (byte) -128), named("Int16", 3, MetricDataType.Int16, (short) -32768),
        named("Int32", 4, MetricDataType.Int32, -12), named("Int64", 5, MetricDataType.Int64, Long.MIN_VALUE),
        named("UInt8", 6, MetricDataType.UInt8, (short) 255), named("UInt16", 7, MetricDataType.UInt16, 65535),
        named("UInt32", 8, MetricDataType.UInt32, 4294967295L), named("UInt64", 9, MetricDataType.UInt64, largest),
        named("Float", 10, MetricDataType.Float, 0.1f), named("Double", 11, MetricDataType.Double, 0.1),
        named("Boolean", 12, MetricDataType.Boolean, true), named("String", 13, MetricDataType.String, "Grüße \"1\"\n"),
        named("DateTime", 14, MetricDataType.DateTime, when), named("Text", 15, MetricDataType.Text, "text"),
        named("UUID", 16, MetricDataType.UUID, "123e4567-e89b-12d3-a456-426614174000"));
    print("tahu-ndata", 1L, true,
        aliased(2, MetricDataType.Int8, (byte) -1), aliased(4, MetricDataType.Int32, -12),
        aliased(5, MetricDataType.Int64, -9007199254740993L), aliased(9, MetricDataType.UInt64, largest),
        aliased(14, MetricDataType.DateTime, new Date(-1000L)), aliased(99, MetricDataType.Int32, -1));
    print("tahu-dbirth", 2L, false,
        named("Bytes", 20, MetricDataType.Bytes, new byte[] {0, (byte) 0xff}),
        new MetricBuilder("File", MetricDataType.File, new File("a.bin", new byte[] {1, 2, 3})).alias(21L).timestamp(when)
            .metaData(new MetaDataBuilder().fileName("a.bin").fileType("bin").size(3L).md5("5289df73").createMetaData())
            .createMetric(),
        named("DataSet", 22, MetricDataType.DataSet, new DataSetBuilder(3).addColumnNames(List.of("n", "x", "s"))
            .addTypes(List.of(DataSetDataType.Int32, DataSetDataType.Float, DataSetDataType.String))
            .addRow(new Row(List.of(new Value<>(DataSetDataType.Int32, -1), new Value<>(DataSetDataType.Float, 1.5f),
                new Value<>(DataSetDataType.String, "one")))).createDataSet()),
        named("Left motor", 23, MetricDataType.Template, new TemplateBuilder().definition(false).templateRef("Motor")
            .addMetric(new MetricBuilder("Torque", MetricDataType.Int32, -5).timestamp(when).createMetric())
            .addParameter(new Parameter("Maker", ParameterDataType.String, "us")).createTemplate()),
        new MetricBuilder("Level", MetricDataType.Double, 2.5).alias(24L).timestamp(when).isHistorical(true).isTransient(true)
            .properties(new PropertySetBuilder().addProperty("engUnit", new PropertyValue<>(PropertyDataType.String, "mm"))
                .addProperty("Quality", new PropertyValue<>(PropertyDataType.Int32, 192))
                .addProperty("range", new PropertyValue<>(PropertyDataType.PropertySet, new PropertySetBuilder()
                    .addProperty("low", new PropertyValue<>(PropertyDataType.Int32, -7)).createPropertySet()))
                .createPropertySet()).createMetric(),
        new MetricBuilder("Nothing", MetricDataType.Int16, null).alias(25L).timestamp(when).createMetric(),
        named("Int8Array", 30, MetricDataType.Int8Array, new Byte[] {-23, 123}),
        named("Int16Array", 31, MetricDataType.Int16Array, new Short[] {-30000, 30000}),
        named("Int32Array", 32, MetricDataType.Int32Array, new Integer[] {-1, 315338746}),
        named("Int64Array", 33, MetricDataType.Int64Array, new Long[] {-4270929666821191986L, 1L}),
        named("UInt8Array", 34, MetricDataType.UInt8Array, new Short[] {23, 250}),
        named("UInt16Array", 35, MetricDataType.UInt16Array, new Integer[] {30, 52360}),
        named("UInt32Array", 36, MetricDataType.UInt32Array, new Long[] {52L, 3293969225L}),
        named("UInt64Array", 37, MetricDataType.UInt64Array, new BigInteger[] {BigInteger.valueOf(52), largest}),
        named("FloatArray", 38, MetricDataType.FloatArray, new Float[] {1.23f, 89.341f}),
        named("DoubleArray", 39, MetricDataType.DoubleArray, new Double[] {12.354213, 1022.9123213}),
        named("BooleanArray", 40, MetricDataType.BooleanArray, new Boolean[] {false, false, true, true, false, true, false,
            false, true, true, false, true}),
        named("StringArray", 41, MetricDataType.StringArray, new String[] {"ABC", "hello"}),
        named("DateTimeArray", 42, MetricDataType.DateTimeArray, new Date[] {new Date(1256102875335L), when}));
    print("tahu-ddata", 3L, true,
        aliased(23, MetricDataType.Template, new TemplateBuilder().definition(false).templateRef("Motor")
            .addMetric(new MetricBuilder("Torque", MetricDataType.Int32, -6).timestamp(when).createMetric()).createTemplate()),
        aliased(30, MetricDataType.Int8Array, new Byte[] {-1}));
    print("tahu-ndeath", null, false, new MetricBuilder("bdSeq", MetricDataType.Int64, 7L).timestamp(when).createMetric());
  }
}
