/// Cuts a stream of server-sent events into messages (HTML Living Standard 9.2.6), as far as our own streams use that: lines end with
/// LF, data is one line or several.
struct EventCutter: Sendable {
    struct Message: Sendable, Equatable {
        var event = "message"
        var data: [UInt8] = []
    }

    /// A line longer than `limit` is no event of ours.
    struct TooLong: Error {}

    private let limit: Int
    private var line: [UInt8] = []
    private var message = Message()

    init(limit: Int = 16 << 20) { self.limit = limit }

    /// The messages that `bytes` completes.
    mutating func take(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [Message] {
        var messages: [Message] = []
        for byte in bytes {
            guard byte == 0x0A else {
                guard self.line.count < self.limit else { throw TooLong() }
                self.line.append(byte)
                continue
            }
            if self.line.isEmpty {
                // Comments and times to come back have no data.
                if !self.message.data.isEmpty { messages.append(self.message) }
                self.message = Message()
            } else if self.line.starts(with: "event: ".utf8) {
                self.message.event = String(decoding: self.line.dropFirst(7), as: UTF8.self)
            } else if self.line.starts(with: "data: ".utf8) {
                self.message.data += self.line.dropFirst(6)
            }
            self.line.removeAll(keepingCapacity: true)
        }
        return messages
    }
}
