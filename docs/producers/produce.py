"""produce.py FILE BROKERS [BATCH_ID [SOURCE]]: sends a CSV file of any size as one batch and waits for its outcome.

Ends with 0 if the batch succeeded, else with 1. Environment: ENCODING (gzip or zstd), COMPRESSION (Kafka's own: gzip,
snappy, lz4 or zstd), REPLY_TO (a topic), KAFKA_PREFIX.
"""
import gzip, hashlib, json, re, sys, time, uuid
from os import environ as env
from confluent_kafka import Consumer, Producer, TopicPartition

MAX_BYTES, MAX_ROWS, MAX_ROW_BYTES, LANE_CHUNKS, WAIT_SECONDS = 880_000, 32_767, 65_536, 4, 1200
HEADER = b"orig_code,dest_code,day,price\n"
OPENING = re.compile(rb"(\xef\xbb\xbf)?(orig_code,dest_code,day,price(\r?\n|\Z))?")  # a file's own mark and header line

def rows_of(file):  # a row ends at the first line break before which quotes are balanced
    file.seek(OPENING.match(file.read(64)).end())
    row = b""
    while line := file.readline(MAX_ROW_BYTES + 1):
        row += line
        if len(row) > MAX_ROW_BYTES:
            sys.exit(f"a row is longer than {MAX_ROW_BYTES} bytes: {row[:60]!r}...")
        if line.endswith(b"\n") and row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row

def chunks_of(file):  # each begins with the header line, so that no row at a chunk's start can be taken for one
    body, rows = bytearray(HEADER), 0
    for row in rows_of(file):
        if len(body) + len(row) > MAX_BYTES or rows == MAX_ROWS:
            yield bytes(body), rows
            body, rows = bytearray(HEADER), 0
        body += row
        rows += 1
    yield bytes(body), rows

def encode(body):  # the same input always gives the same bytes: no time in it, a fixed level
    if env.get("ENCODING") == "zstd":
        import zstandard  # pip install zstandard
        return zstandard.ZstdCompressor(level=3).compress(body)
    return gzip.compress(body, 6, mtime=0) if env.get("ENCODING") == "gzip" else body

def main(path, brokers, batch=str(uuid.uuid4()), source="example"):
    prefix, reply_to = env.get("KAFKA_PREFIX", ""), env.get("REPLY_TO")
    replies = Consumer({"bootstrap.servers": brokers, "group.id": "unused", "enable.auto.commit": False})
    topics = {prefix + "rates.replies", reply_to or prefix + "rates.replies"}  # the first one, if reply-to is refused
    places = [TopicPartition(topic, number) for topic in topics
              for number in replies.list_topics(topic, 30).topics[topic].partitions]
    for place in places:  # listens from the ends as they are before anything is sent
        place.offset = replies.get_watermark_offsets(place, 30)[1]
    replies.assign(places)
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "partitioner": "random",
                         "sticky.partitioning.linger.ms": 0, "compression.type": env.get("COMPRESSION", "none")})
    held, sent, failed, lane = [], 0, [], "rates.batches"

    def send(body, rows, chunks=None):
        nonlocal sent
        value = encode(body)
        headers = {"batch-id": batch, "source": source, "chunk": str(sent), "chunks": chunks and str(chunks),
                   "rows": str(rows), "sha256": hashlib.sha256(value).hexdigest(), "content-type": "text/csv",
                   "content-encoding": env.get("ENCODING"), "reply-to": reply_to}
        producer.produce(prefix + lane, value, headers={name: text for name, text in headers.items() if text},
                         on_delivery=lambda error, _: error and failed.append(str(error)))
        sent += 1
        while len(producer) >= 8:  # memory stays small, whatever the file's size
            producer.poll(1)

    with open(path, "rb") as file:
        for chunk in chunks_of(file):
            held.append(chunk)
            if len(held) > LANE_CHUNKS:
                lane = "rates.batches.bulk"
            while lane == "rates.batches.bulk" and len(held) > 1:  # one is held back: the last one tells the total
                send(*held.pop(0))
    total = sent + len(held)
    for chunk in held:
        send(*chunk, total)
    print(f"batch {batch}: {total} chunks", flush=True)
    if producer.flush(120) or failed:
        sys.exit(f"not sent: {failed[:1] or 'the brokers do not answer'}; send it again as {batch}")
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        record = replies.poll(1)
        if record and not record.error() and dict(record.headers() or []).get("batch-id") == batch.encode():
            reply = json.loads(record.value())
            print(json.dumps(reply, indent=2))  # state, rows, error, the first bad rows
            sys.exit(0 if reply["state"] == "succeeded" else 1)
    sys.exit(f"no reply in {WAIT_SECONDS} s; to be told once more, send it again as {batch}")

main(*sys.argv[1:])
