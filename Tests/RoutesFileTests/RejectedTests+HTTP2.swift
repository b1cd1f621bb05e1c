/// What is wrong with keys that HTTP/2 has.
extension RejectedTests {
    static let http2: [Case] = [
        .top(
            #""limits": { "http2": { "concurrentStreams": 0 } }"#, "$.limits.http2.concurrentStreams", "from 1 to 1000"),
        .top(#""limits": { "http2": { "streamWindow": "1KiB" } }"#, "$.limits.http2.streamWindow", "from 65536 to"),
        .top(#""limits": { "http2": { "streams": 7 } }"#, "$.limits.http2.streams", "unknown key"),
        .top(#""timeouts": { "http2Ping": "0s" }"#, "$.timeouts.http2Ping", "from 1ms to 720h"),
    ]
}
