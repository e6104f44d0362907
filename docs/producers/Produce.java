import java.io.*;
import java.nio.file.*;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import static java.nio.charset.StandardCharsets.*;

/**
 * Produce.java FILE BROKERS [BATCH_ID [SOURCE]]: sends a CSV file of any size as one batch and waits for its outcome.
 * Ends with 0 if the batch succeeded, else with 1. Environment: ENCODING (gzip or zstd), COMPRESSION (Kafka's own: gzip,
 * snappy, lz4 or zstd), REPLY_TO (a topic), KAFKA_PREFIX.
 */
public class Produce {
    static final int MAX_BYTES = 880_000, MAX_ROWS = 32_767, MAX_ROW_BYTES = 65_536, LANE_CHUNKS = 4, WAIT_SECONDS = 1200;
    static final String HEADER = "orig_code,dest_code,day,price\n";
    /** A file's own byte order mark and header line. */
    static final Pattern OPENING = Pattern.compile("(\u00ef\u00bb\u00bf)?(orig_code,dest_code,day,price(\r?\n|\\z))?");
    static final Map<String, String> env = System.getenv();
    static final String ENCODING = env.getOrDefault("ENCODING", "identity"), PREFIX = env.getOrDefault("KAFKA_PREFIX", "");
    static final String REPLIES = PREFIX + "rates.replies", REPLY_TO = env.getOrDefault("REPLY_TO", REPLIES);
    static final AtomicReference<Exception> failed = new AtomicReference<>();
    static final Deque<Chunk> held = new ArrayDeque<>();
    static KafkaProducer<Void, byte[]> producer;
    static String batch, source, lane = "rates.batches";
    static int sent = 0;

    record Chunk(byte[] body, int rows) {}

    public static void main(String[] args) throws Exception {
        batch = args.length > 2 ? args[2] : UUID.randomUUID().toString();
        source = args.length > 3 ? args[3] : "example";
        Map<String, Object> servers = Map.of("bootstrap.servers", args[1]), sending = Map.of("bootstrap.servers", args[1],
            "acks", "all", "enable.idempotence", true, "compression.type", env.getOrDefault("COMPRESSION", "none"));
        var replies = new KafkaConsumer<>(servers, new VoidDeserializer(), new StringDeserializer());
        var places = new ArrayList<TopicPartition>(); // of both topics: if reply-to is refused, the reply comes on the first
        for (var topic : new TreeSet<>(List.of(REPLIES, REPLY_TO)))
            replies.partitionsFor(topic).forEach(each -> places.add(new TopicPartition(topic, each.partition())));
        replies.assign(places);
        replies.seekToEnd(places);
        places.forEach(replies::position); // finds the ends now, before anything is sent, not at the first poll
        producer = new KafkaProducer<>(sending, new VoidSerializer(), new ByteArraySerializer());
        try (var file = new BufferedInputStream(Files.newInputStream(Path.of(args[0])), 1 << 16)) {
            cut(file);
        }
        int total = sent + held.size();
        while (!held.isEmpty()) send(held.poll(), "" + total);
        System.out.println("batch " + batch + ": " + total + " chunks");
        producer.flush();
        if (failed.get() != null) throw new IOException("not sent; send it again as " + batch, failed.get());
        for (long end = System.nanoTime() + WAIT_SECONDS * 1_000_000_000L; System.nanoTime() < end; ) {
            for (var record : replies.poll(Duration.ofSeconds(1))) {
                var headers = new HashMap<String, String>();
                record.headers().forEach(each -> headers.put(each.key(), new String(each.value(), UTF_8)));
                if (!batch.equals(headers.get("batch-id"))) continue;
                System.out.println(record.value()); // JSON: state, rows, error, the first bad rows
                System.exit(headers.get("reply-id").equals(batch + "/succeeded") ? 0 : 1);
            }
        }
        throw new IOException("no reply in " + WAIT_SECONDS + " s; to be told once more, send it again as " + batch);
    }

    /** Each chunk begins with the header line, so that no row at a chunk's start can be taken for one. */
    static void cut(InputStream file) throws Exception {
        file.mark(64);
        var opening = OPENING.matcher(new String(file.readNBytes(64), ISO_8859_1));
        file.reset();
        file.skipNBytes(opening.lookingAt() ? opening.end() : 0);
        var body = new ByteArrayOutputStream(MAX_BYTES);
        body.writeBytes(HEADER.getBytes());
        int rows = 0;
        for (byte[] row; (row = readRow(file)).length > 0; rows++) {
            if (body.size() + row.length > MAX_BYTES || rows == MAX_ROWS) {
                hold(new Chunk(body.toByteArray(), rows));
                body.reset();
                body.writeBytes(HEADER.getBytes());
                rows = 0;
            }
            body.writeBytes(row);
        }
        hold(new Chunk(body.toByteArray(), rows));
    }

    /** A row ends at the first line break before which quotes are balanced. Empty: the file's end. */
    static byte[] readRow(InputStream file) throws IOException {
        var row = new ByteArrayOutputStream(64);
        for (int next, quotes = 0; (next = file.read()) >= 0; ) {
            row.write(next);
            if (next == '"') quotes++;
            if (row.size() > MAX_ROW_BYTES)
                throw new IOException("a row is longer than " + MAX_ROW_BYTES + " bytes: " + row.toString(UTF_8).substring(0, 60));
            if (next == '\n' && quotes % 2 == 0) break;
        }
        return row.toByteArray();
    }

    /** The last chunk is held back, since it tells the total; four are, until it is known which lane the batch takes. */
    static void hold(Chunk chunk) throws Exception {
        held.add(chunk);
        if (held.size() > LANE_CHUNKS) lane = "rates.batches.bulk";
        while (lane.equals("rates.batches.bulk") && held.size() > 1) send(held.poll(), null);
    }

    static void send(Chunk chunk, String total) throws Exception {
        var value = encode(chunk.body);
        var headers = new HashMap<>(Map.of("batch-id", batch, "source", source, "chunk", "" + sent++,
            "rows", "" + chunk.rows, "content-type", "text/csv", "content-encoding", ENCODING,
            "sha256", HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(value))));
        if (total != null) headers.put("chunks", total);
        if (env.containsKey("REPLY_TO")) headers.put("reply-to", REPLY_TO);
        var record = new ProducerRecord<Void, byte[]>(PREFIX + lane, value);
        headers.forEach((name, text) -> record.headers().add(name, text.getBytes(UTF_8)));
        producer.send(record, (place, error) -> failed.compareAndSet(null, error)); // waits while 32 MB are on their way
    }

    /** The same input always gives the same bytes. */
    static byte[] encode(byte[] body) throws IOException {
        if (ENCODING.equals("zstd")) return com.github.luben.zstd.Zstd.compress(body, 3);
        if (!ENCODING.equals("gzip")) return body;
        var bytes = new ByteArrayOutputStream();
        try (var gzip = new GZIPOutputStream(bytes)) {
            gzip.write(body);
        }
        return bytes.toByteArray();
    }
}
